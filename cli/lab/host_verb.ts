import type { LabAct } from "../environment.ts";
import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

interface HostFlags extends LabFlags {
  readonly only?: "agent" | "engine";
}

/** A verb that does one thing to a host of a lab, or to one of its daemons. */
export function hostVerb(act: LabAct, note?: string): Verb<HostFlags> {
  return {
    define(command) {
      const defined = addNameFlag(command.argument("<host>", "h1, h2 …"))
        .value(
          "--only <daemon>",
          "agent or engine, and not the whole host",
          choice("agent", "engine"),
        );
      if (note !== undefined) defined.addHelpText("after", `\n${note}`);
      defined.examples(`fleet lab ${act} h2`, `fleet lab ${act} --only agent h2`);
    },
    async run({ env }, [host = ""], flags) {
      const name = labName(flags);
      const only = flags.only ? { only: flags.only } : {};
      return await (await env.lab()).labHost({ name, host, act, ...only }, env);
    },
  };
}

/** A verb that pulls a cable or parts two hosts, or undoes it. */
export function cutVerb(cut: boolean): Verb<LabFlags> {
  const verb = cut ? "cut" : "heal";
  return {
    define(command) {
      addNameFlag(
        command.argument("<host>", "h1, h2 …")
          .argument("[other]", "Only between these two; without it, the host's cable"),
      ).examples(`fleet lab ${verb} h1 h2`, `fleet lab ${verb} h3`);
    },
    async run({ env }, hosts, flags) {
      const name = labName(flags);
      return await (await env.lab()).labCut({ name, hosts: [...hosts], cut }, env);
    },
  };
}
