import { FleetError } from "../../base/errors.ts";
import { modeOf } from "../../model/service.ts";
import { timeText } from "../../model/meta.ts";
import { isAwaited, nodeName } from "../../model/node.ts";
import type { ControlContext } from "./context.ts";
import { find, findCluster } from "./lookup.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";

/** Wishes for an even spread that may be open at once. */
const MAX_REQUESTS = 100;

/**
 * Asks for an even spread of one service or all, or for tasks to move to one node. The leader carries it
 * out step by step, start-first, within the budget per minute. The same wish again is the one that is open.
 * @throws FleetError not-found, invalid (a job or global service, a node that takes no tasks), conflict
 */
export function requestRebalance(
  { tx, newId, nowMs }: ControlContext,
  { serviceId, nodeId }: ControlArgs<"rebalance.start">,
): ControlResult<"rebalance.start"> {
  if (serviceId !== undefined) {
    const { Spec } = find(tx, "service", serviceId);
    if (modeOf(Spec) !== "replicated") {
      throw new FleetError(
        "invalid",
        `service ${Spec.Name} is ${modeOf(Spec)}: only replicated services are spread`,
      );
    }
  }
  if (nodeId !== undefined) {
    const node = find(tx, "node", nodeId);
    const isThere = node.Status.State === "ready" || isAwaited(node);
    if (!isThere || (node.Spec.Availability ?? "active") !== "active") {
      throw new FleetError(
        "invalid",
        `node ${nodeName(node)} takes no tasks (${node.Status.State}, ${
          node.Spec.Availability ?? "active"
        })`,
      );
    }
  }
  const cluster = findCluster(tx);
  const open = cluster.Rebalances ?? [];
  const same = open.find(({ ServiceID, NodeID }) => ServiceID === serviceId && NodeID === nodeId);
  if (same && same.NotBefore === undefined) return { id: same.ID };
  if (open.length >= MAX_REQUESTS) {
    throw new FleetError("conflict", `${MAX_REQUESTS} requests to rebalance are open; try later`);
  }
  const id = newId();
  tx.update("cluster", {
    ...cluster,
    Rebalances: [...open.filter((request) => request !== same), {
      ID: id,
      ...(serviceId === undefined ? {} : { ServiceID: serviceId }),
      ...(nodeId === undefined ? {} : { NodeID: nodeId }),
      CreatedAt: timeText(nowMs),
    }],
  });
  return { id };
}
