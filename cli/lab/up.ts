import { FleetError } from "../../src/base/errors.ts";
import { parseUint } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addLinkFlags, addNameFlag, labName, linkOf } from "./shared.ts";
import type { LabFlags, LinkFlags } from "./shared.ts";

interface Flags extends LabFlags, LinkFlags {
  readonly hosts?: number;
  readonly managers?: number;
  readonly ui?: boolean;
}

const DEFAULT_HOSTS = 3;
const MAX_HOSTS = 9;

export const verb: Verb<Flags> = {
  define(command) {
    addNameFlag(command.value("--hosts <n>", `How many, 1 to ${MAX_HOSTS} (default 3)`, parseUint))
      .value("--managers <n>", "Form a cluster of them with so many managers", parseUint)
      .flag("--ui", "Let every agent serve the dashboard (default; --ui=false: no)");
    addLinkFlags(command).examples(
      "fleet lab up",
      "fleet lab up --managers 3",
      "fleet lab up --hosts 5 --managers 3 --loss 2 --name big",
    );
  },
  async run({ env }, _args, flags) {
    const hosts = flags.hosts ?? DEFAULT_HOSTS;
    if (hosts < 1 || hosts > MAX_HOSTS) {
      throw new FleetError("invalid", `--hosts is between 1 and ${MAX_HOSTS}, not ${hosts}`);
    }
    const { managers } = flags;
    if (managers !== undefined && (managers < 1 || managers > hosts)) {
      throw new FleetError("invalid", `--managers is between 1 and ${hosts}, not ${managers}`);
    }
    const lab = await env.lab();
    return await lab.labUp({
      name: labName(flags),
      hosts,
      ...linkOf(flags),
      ...(managers === undefined ? {} : { managers }),
      ...(flags.ui === false ? {} : { ui: true }),
    }, env);
  },
};
