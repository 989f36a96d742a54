import { FleetError } from "../../src/base/errors.ts";
import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

export const verb: Verb<LabFlags> = {
  define(command) {
    addNameFlag(
      command.usage("[options] HOST [--] COMMAND [ARG...]").endFlagsAtFirstArgument()
        .argument("<host>", "h1, h2 …").argument("[command...]", "Command and its arguments"),
    ).examples("fleet lab exec h2 -- ip addr");
  },
  async run({ env }, [host = "", ...words], flags) {
    const command = words[0] === "--" ? words.slice(1) : words;
    if (command.length === 0) throw new FleetError("invalid", "name the command to run");
    const name = labName(flags);
    return await (await env.lab()).labExec({ name, host, command }, env);
  },
};
