import { FleetError } from "../../src/base/errors.ts";
import { parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addNameFlag, labName } from "./shared.ts";
import type { LabFlags } from "./shared.ts";

interface Flags extends LabFlags {
  readonly hosts?: number;
}

const DEFAULT_HOSTS = 3;
const MAX_HOSTS = 9;

export const verb: Verb<Flags> = {
  define(command) {
    addNameFlag(command.value("--hosts <n>", `How many, 1 to ${MAX_HOSTS} (default 3)`, parseUint))
      .examples("fleet lab up --hosts 3", "fleet lab up --hosts 5 --name big");
  },
  async run({ env }, _args, flags) {
    const hosts = flags.hosts ?? DEFAULT_HOSTS;
    if (hosts < 1 || hosts > MAX_HOSTS) {
      throw new FleetError("invalid", `--hosts is between 1 and ${MAX_HOSTS}, not ${hosts}`);
    }
    const lab = await env.lab();
    return await lab.labUp({ name: labName(flags), hosts }, env);
  },
};
