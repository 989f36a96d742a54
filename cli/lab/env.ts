import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(command.argument("<host>", "h1, h2 …")).examples('eval "$(fleet lab env h1)"');
  },
  async run({ env }, [host = ""], flags) {
    const name = labName(flags);
    return await (await env.lab()).labEnv({ name, host }, env);
  },
};
