import { checkName } from "../../src/model/names.ts";
import type { Verb } from "../verb.ts";
import { getNode, putNode } from "./shared.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<node>", "Host name or id, or self").argument("<name>", "The new name")
      .addHelpText("after", "\nThe machine's host name stays as it is.")
      .examples("fleet node rename h1 kitchen");
  },
  async run({ client, print }, [reference = "", name = ""]) {
    checkName("node", name);
    const node = await getNode(client, reference);
    await putNode(client, node, { ...node.Spec, Name: name });
    print(name);
  },
};
