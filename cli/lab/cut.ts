import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(
      command.argument("<host>", "h1, h2 …")
        .argument("[other]", "Only between these two; without it, the host's cable"),
    ).examples("fleet lab cut h1 h2", "fleet lab cut h3");
  },
  async run({ env }, hosts, flags) {
    const name = labName(flags);
    return await (await env.lab()).labCut({ name, hosts: [...hosts], cut: true }, env);
  },
};
