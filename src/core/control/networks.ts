import { FleetError } from "../../base/errors.ts";
import { checkName } from "../../model/names.ts";
import type { Network } from "../../model/network.ts";
import type { View } from "../../model/view.ts";
import type { ControlContext } from "./context.ts";
import { find } from "./lookup.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";

/** Marks the engine's own networks that services may name. */
export const PREDEFINED_LABEL = "com.docker.swarm.predefined";
/** Engine networks of every node that services may use; created with the cluster, hidden in lists. */
export const PREDEFINED_NETWORKS = ["bridge", "host", "none"] as const;

export function isPredefined(network: Network): boolean {
  return network.Spec.Labels?.[PREDEFINED_LABEL] === "true";
}

/** Overlay networks need the allocator and the node's data plane; until both are here they are refused. */
export function createNetwork(
  _context: ControlContext,
  args: ControlArgs<"network.create">,
): ControlResult<"network.create"> {
  checkName("network", args.spec.Name);
  throw new FleetError(
    "unimplemented",
    `network ${args.spec.Name}: this version of fleet has no overlay networks yet; use the "host" or "bridge" network`,
  );
}

export function removeNetwork({ tx }: ControlContext, args: ControlArgs<"network.remove">): null {
  const network = find(tx, "network", args.id);
  if (isPredefined(network)) {
    throw new FleetError(
      "invalid",
      `${network.Spec.Name} is a pre-defined network and cannot be removed`,
    );
  }
  const users = networkUsers(tx, network.ID);
  if (users.length > 0) {
    throw new FleetError(
      "invalid",
      `network ${network.Spec.Name} is in use by service ${users.join(", ")}`,
    );
  }
  tx.remove("network", network.ID);
  return null;
}

/** Names of the services attached to a network, sorted. */
export function networkUsers(view: View, networkId: string): string[] {
  const users: string[] = [];
  for (const service of view.all("service")) {
    if (service.Spec.TaskTemplate?.Networks?.some((network) => network.Target === networkId)) {
      users.push(service.Spec.Name ?? service.ID);
    }
  }
  return users.sort();
}
