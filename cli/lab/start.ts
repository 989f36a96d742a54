import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

interface Flags extends LabFlags {
  readonly only?: "agent" | "engine";
}

export const verb: Verb<Flags> = {
  define(command) {
    addNameFlag(command.argument("<host>", "h1, h2 …"))
      .value(
        "--only <daemon>",
        "agent or engine, and not the whole host",
        choice("agent", "engine"),
      )
      .examples("fleet lab start h2", "fleet lab start --only agent h2");
  },
  async run({ env }, [host = ""], flags) {
    const name = labName(flags);
    const only = flags.only ? { only: flags.only } : {};
    return await (await env.lab()).labHost({ name, host, act: "start", ...only }, env);
  },
};
