import type { Verb } from "../verb.ts";
import { addLinkFlags, addNameFlag, labName, linkOf } from "./shared.ts";
import type { LabFlags, LinkFlags } from "./shared.ts";

export const verb: Verb<LabFlags & LinkFlags> = {
  define(command) {
    addLinkFlags(addNameFlag(command.argument("[hosts...]", "h1, h2 … (default all)")))
      .addHelpText("after", "\nWithout flags the cables are whole again.")
      .examples("fleet lab net --delay 40ms", "fleet lab net --loss 5 h2", "fleet lab net");
  },
  async run({ env }, hosts, flags) {
    const options = { name: labName(flags), hosts: [...hosts], ...linkOf(flags) };
    return await (await env.lab()).labNet(options, env);
  },
};
