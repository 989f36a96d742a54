import { FleetError } from "../../base/errors.ts";
import type { ContainerSpec } from "../../model/container_spec.ts";
import { devicesOf, isPrivileged } from "../../model/host_access.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
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

/**
 * Refuses a container that asks for more of its host than the cluster's policy gives. Services that
 * exist already go on as they are. @throws FleetError forbidden, invalid
 */
export function checkHostAccess(view: View, container: ContainerSpec): void {
  const policy = clusterOf(view)?.Policy;
  if (isPrivileged(container) && !policy?.Privileged) {
    throw new FleetError(
      "forbidden",
      "privileged containers are not allowed on this cluster; " +
        "whoever may: fleet policy set --privileged",
    );
  }
  const devices = devicesOf(container);
  if (devices.length > 0 && !policy?.Devices) {
    throw new FleetError(
      "forbidden",
      `devices of the host (${devices[0]!.host}) are not allowed on this cluster; ` +
        "whoever may: fleet policy set --devices",
    );
  }
}
