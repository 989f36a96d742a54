import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(
      command.usage("[options] HOST [--] COMMAND [ARG...]").endFlagsAtFirstArgument()
        .argument("<host>", "h1, h2 …").argument(
          "[command...]",
          "Command and its arguments; a shell without",
        ),
    ).examples("fleet lab exec h2 -- ip addr", "fleet lab exec h2");
  },
  async run({ env }, [host = "", ...words], flags) {
    const command = words[0] === "--" ? words.slice(1) : [...words];
    if (command.length === 0) command.push("/bin/sh");
    const name = labName(flags);
    return await (await env.lab()).labExec({ name, host, command }, env);
  },
};
