import { addPsFlags, printTasks } from "../tasks.ts";
import type { PsFlags } from "../tasks.ts";
import type { Verb } from "../verb.ts";
import { getNode } from "./shared.ts";

export const verb: Verb<PsFlags> = {
  define(command) {
    addPsFlags(command.argument("[node...]", "Host names or ids; this node when none is named"))
      .examples("fleet node ps h2 --filter desired-state=running");
  },
  async run(context, args, flags) {
    const references = args.length > 0 ? args : ["self"];
    const nodes = await Promise.all(
      references.map((reference) => getNode(context.client, reference)),
    );
    await printTasks(context, { node: nodes.map((node) => node.ID) }, flags);
  },
};
