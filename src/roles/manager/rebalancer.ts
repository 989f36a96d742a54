import { newId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { DEFAULT_MOVES_PER_MINUTE, relocate } from "../../core/orchestrator/relocate.ts";
import { isBusy, planRebalance } from "../../core/scheduler/rebalance.ts";
import type { Cluster, RebalanceRequest } from "../../model/cluster.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import { isAwaited } from "../../model/node.ts";
import type { Node } from "../../model/node.ts";
import { modeOf } from "../../model/service.ts";
import { clusterOf } from "../../model/view.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import type { Reconciler } from "./control_loop.ts";

/** A node that came has this long to prove that it stays, before anything moves to it. */
export const SETTLE_MS = 10_000;
/** A wish that was not fulfilled by then is given up: the cluster is not what it was. */
const REQUEST_LIFE_MS = 60 * 60_000;
/** While tasks move, the plan is looked at again this often, should no event say so. */
const LOOK_AGAIN_MS = 5_000;
/** Requests of the policy; one per node is open at most. */
const MAX_REQUESTS = 1_000;

const REQUESTS = "requests";

/**
 * Carries out what was asked of the spread: plans anew whenever the last plan's moves are over, marks as
 * many tasks for moving as the budget of the minute allows, and forgets the wish when nothing is left to
 * do. With the policy on-join, a node that joins, comes back or is made active again is such a wish.
 */
export function rebalanceReconciler(random: Random): Reconciler {
  return {
    name: "rebalancer",
    allKeys: () => [REQUESTS],
    *keysOf(change, view) {
      if (change.table === "cluster") yield REQUESTS;
      else if (change.table === "node" && joined(change as Applied<"node">)) {
        if (clusterOf(view)?.Policy?.Rebalance === "on-join") yield change.object.ID;
      } else if (change.table === "task" || change.table === "service") {
        if (clusterOf(view)?.Rebalances?.length) yield REQUESTS;
      }
    },
    reconcile: (view, key, nowMs) => {
      const cluster = clusterOf(view);
      if (!cluster) return { changes: [] };
      return key === REQUESTS
        ? fulfil(view, cluster, nowMs)
        : { changes: requestFor(cluster, key, newId(random), nowMs) };
    },
  };
}

/** Whether a node takes tasks now and did not before; a change of leader is no such thing. */
function joined({ op, object, previous }: Applied<"node">): boolean {
  if (op !== "update" || !previous || !takesTasks(object) || takesTasks(previous)) return false;
  return previous.Status.State !== "unknown" || previous.Description === undefined ||
    previous.Spec.Availability !== object.Spec.Availability;
}

function takesTasks(node: Node): boolean {
  return node.Status.State === "ready" && isActive(node);
}

const isActive = ({ Spec }: Node) => (Spec.Availability ?? "active") === "active";

function requestFor(cluster: Cluster, nodeId: string, id: string, nowMs: number): Change[] {
  const open = cluster.Rebalances ?? [];
  if (open.some(({ NodeID, ServiceID }) => NodeID === nodeId && !ServiceID)) return [];
  if (open.length >= MAX_REQUESTS) return [];
  const request: RebalanceRequest = {
    ID: id,
    NodeID: nodeId,
    CreatedAt: timeText(nowMs),
    NotBefore: timeText(nowMs + SETTLE_MS),
  };
  return [{
    op: "update",
    table: "cluster",
    object: { ...cluster, Rebalances: [...open, request] },
  }];
}

/** One wish at a time moves tasks: two plans at once would not know of one another. */
function fulfil(
  view: View,
  cluster: Cluster,
  nowMs: number,
): { changes: Change[]; wakeAtMs?: number } {
  const open = cluster.Rebalances ?? [];
  // A plan for the nodes that are back first would be none for all.
  const early = [...view.all("node")].some((node) => isAwaited(node) && isActive(node));
  const kept: RebalanceRequest[] = [];
  let moves: Change[] = [];
  let wakeAtMs = Infinity;
  const wakeAt = (ms: number) => wakeAtMs = Math.min(wakeAtMs, ms);
  for (const request of open) {
    const { ServiceID: serviceId, NodeID: toNodeId } = request;
    if (timeMs(request.CreatedAt) + REQUEST_LIFE_MS <= nowMs) continue;
    const node = toNodeId === undefined ? undefined : view.get("node", toNodeId);
    if (
      toNodeId !== undefined && !(node && (takesTasks(node) || (isAwaited(node) && isActive(node))))
    ) continue;
    if (early) {
      wakeAt(nowMs + LOOK_AGAIN_MS);
      kept.push(request);
      continue;
    }
    if (timeMs(request.NotBefore) > nowMs) {
      wakeAt(timeMs(request.NotBefore));
      kept.push(request);
      continue;
    }
    const plan = moves.length > 0 ? [] : planRebalance(view, {
      nowMs,
      ...(serviceId === undefined ? {} : { serviceId }),
      ...(toNodeId === undefined ? {} : { toNodeId }),
    });
    if (plan.length > 0) {
      const marked = relocate(view, plan, {
        nowMs,
        movesPerMinute: cluster.Policy?.MovesPerMinute ?? DEFAULT_MOVES_PER_MINUTE,
      });
      moves = marked.changes;
      if (marked.wakeAtMs !== undefined) wakeAt(marked.wakeAtMs);
    } else if (moves.length === 0 && !someBusy(view, serviceId, nowMs)) continue;
    kept.push(request);
    wakeAt(nowMs + LOOK_AGAIN_MS);
  }
  const changes: Change[] = kept.length === open.length
    ? moves
    : [...moves, { op: "update", table: "cluster", object: { ...cluster, Rebalances: kept } }];
  return wakeAtMs === Infinity ? { changes } : { changes, wakeAtMs };
}

/** Whether a service that the wish is about moves tasks or is being updated: it is planned after that. */
function someBusy(view: View, serviceId: string | undefined, nowMs: number): boolean {
  for (const service of view.all("service")) {
    if (serviceId !== undefined && service.ID !== serviceId) continue;
    if (modeOf(service.Spec) === "replicated" && isBusy(view, service, nowMs)) return true;
  }
  return false;
}
