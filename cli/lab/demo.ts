import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

interface Flags extends LabFlags {
  readonly keep?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    addNameFlag(command).flag("--keep", "Leave the lab as it is at the end")
      .examples("fleet lab demo", "fleet lab demo --keep");
  },
  async run({ env }, _args, flags) {
    const name = flags.name === undefined ? "demo" : labName(flags);
    return await (await env.lab()).labDemo({ name, keep: flags.keep ?? false }, env);
  },
};
