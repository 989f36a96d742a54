import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(
      command.argument("<host>", "h1, h2 …")
        .argument("[other]", "Only between these two; without it, the host's cable"),
    ).examples("fleet lab heal h1 h2", "fleet lab heal h3");
  },
  async run({ env }, hosts, flags) {
    const name = labName(flags);
    return await (await env.lab()).labCut({ name, hosts: [...hosts], cut: false }, env);
  },
};
