import { addRebalanceFlags, rebalance } from "../rebalance.ts";
import type { RebalanceFlags } from "../rebalance.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<RebalanceFlags> = {
  define(command) {
    addRebalanceFlags(command.argument("[service]", "Name or id; all services without"))
      .addHelpText(
        "after",
        "\nJobs, global services, services that are being updated, and tasks with bind mounts or local\n" +
          "volumes stay where they are.",
      )
      .examples("fleet service rebalance --dry-run", "fleet service rebalance web");
  },
  run(context, [service], flags) {
    return rebalance(context, service === undefined ? {} : { service }, flags);
  },
};
