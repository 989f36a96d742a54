import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(command.argument("[host]", "h1, h2 … (default h1)"))
      .addHelpText(
        "after",
        "\nThe link logs in once, to a manager or any other host of a cluster. The browser asks whether to trust\n" +
          "the lab's own certificate.",
      )
      .examples("fleet lab open", "fleet lab open h2");
  },
  async run({ env }, [host = "h1"], flags) {
    const name = labName(flags);
    return await (await env.lab()).labOpen({ name, host }, env);
  },
};
