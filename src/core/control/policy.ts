import { FleetError } from "../../base/errors.ts";
import type { ControlContext } from "./context.ts";
import { findCluster } from "./lookup.ts";
import type { ControlArgs } from "./methods.ts";

/** More moves than this are no even spread any more but an outage. */
const MAX_MOVES_PER_MINUTE = 1_000;

/** Changes fleet's own settings; what is left out stays. @throws FleetError invalid */
export function updatePolicy(
  { tx }: ControlContext,
  { policy }: ControlArgs<"policy.update">,
): null {
  const moves = policy.MovesPerMinute;
  if (moves !== undefined && (moves < 1 || moves > MAX_MOVES_PER_MINUTE)) {
    throw new FleetError("invalid", `MovesPerMinute: a number from 1 to ${MAX_MOVES_PER_MINUTE}`);
  }
  const cluster = findCluster(tx);
  tx.update("cluster", { ...cluster, Policy: { ...cluster.Policy, ...policy } });
  return null;
}
