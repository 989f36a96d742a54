import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(command).examples("fleet lab status");
  },
  async run({ env }, _args, flags) {
    const name = labName(flags);
    return await (await env.lab()).labStatus({ name }, env);
  },
};
