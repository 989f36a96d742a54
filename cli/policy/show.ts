import type { Policy } from "../../src/model/cluster.ts";
import { Blocks } from "../render/blocks.ts";
import type { Verb, VerbContext } from "../verb.ts";

export const verb: Verb = {
  define(command) {
    command.examples("fleet policy show");
  },
  run: showPolicy,
};

/** Prints fleet's own settings of the cluster. */
export async function showPolicy({ client, env }: VerbContext): Promise<void> {
  const policy = await client.get<Required<Policy>>("/fleet/policy");
  const allowed = (on: boolean) => on ? "allowed" : "refused";
  env.stdout.write(
    new Blocks().line("Rebalance", policy.Rebalance)
      .line("Moves per minute", String(policy.MovesPerMinute))
      .line("Privileged containers", allowed(policy.Privileged))
      .line("Devices of hosts", allowed(policy.Devices))
      .toString(),
  );
}
