import { isRollingOut, modeOf } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { nodeName } from "../../model/node.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import { relocatesUntilMs, slotName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { PlacementGroup } from "./group.ts";
import { isBooked, NodeInfo } from "./node_info.ts";

/** One task that would be better off elsewhere. */
export interface Move {
  readonly taskId: string;
  readonly serviceId: string;
  /** As tables name the slot: `web.3`. */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

export interface RebalanceScope {
  readonly nowMs: number;
  /** Only this service; all replicated ones otherwise. */
  readonly serviceId?: string;
  /** Only moves to this node, as after it joined. */
  readonly toNodeId?: string;
}

/** A plan longer than this is cut: the next one goes on from where this one led. */
const MAX_MOVES = 1_000;
/** Fewer tasks of difference than this are no reason to stop a healthy task. */
const MIN_DIFFERENCE = 2;

/**
 * Which running tasks to move so that each service is spread as the scheduler would spread it today. Only
 * a move that makes the fullest node fuller than the emptiest by less counts. Never jobs, global services
 * or tasks with data on their node; a service whose tasks move already waits for the next plan.
 */
export function planRebalance(view: View, scope: RebalanceScope): Move[] {
  const infos = nodesOf(view);
  const byId = new Map(infos.map((info) => [info.node.ID, info]));
  const moves: Move[] = [];
  const services = [...view.all("service")].sort((a, b) => a.ID < b.ID ? -1 : 1);
  for (const service of services) {
    if (scope.serviceId !== undefined && service.ID !== scope.serviceId) continue;
    if (modeOf(service.Spec) !== "replicated" || isBusy(view, service, scope.nowMs)) continue;
    for (;;) {
      const move = moves.length < MAX_MOVES
        ? bestMove(view, infos, byId, service, scope)
        : undefined;
      if (!move) break;
      moves.push(move);
    }
  }
  return moves;
}

/** A service whose tasks move already, or are being replaced: a plan now would count them twice. */
export function isBusy(view: View, service: Service, nowMs: number): boolean {
  if (isRollingOut(service)) return true;
  for (const task of view.tasksOfService(service.ID)) {
    if (isTerminal(task.Status.State)) continue;
    if (relocatesUntilMs(task, nowMs) > 0) return true;
  }
  return false;
}

function nodesOf(view: View): NodeInfo[] {
  const infos = [...view.all("node")].map((node) => new NodeInfo(node))
    .sort((a, b) => a.node.ID < b.node.ID ? -1 : 1);
  for (const info of infos) {
    for (const task of view.tasksOfNode(info.node.ID)) if (isBooked(task)) info.book(task);
  }
  return infos;
}

/** The next move, already booked in `infos`. */
function bestMove(
  view: View,
  infos: readonly NodeInfo[],
  byId: ReadonlyMap<string, NodeInfo>,
  service: Service,
  scope: RebalanceScope,
): Move | undefined {
  const loaded = infos.filter((info) => info.countOf(service.ID) > 0)
    .sort((a, b) => b.countOf(service.ID) - a.countOf(service.ID) || b.active - a.active);
  for (const from of loaded) {
    const task = movable(from, service.ID);
    if (!task) continue;
    const { NodeID: _, Relocate: __, Replaces: ___, ...fresh } = task;
    const group = new PlacementGroup(view, infos, byId, fresh, scope.nowMs);
    const place = group.place(fresh);
    if (typeof place === "string") return undefined;
    const to = place.info;
    if (scope.toNodeId !== undefined && to.node.ID !== scope.toNodeId) continue;
    const [here, there] = [from.countOf(service.ID), to.countOf(service.ID)];
    if (here - there < MIN_DIFFERENCE) continue;
    from.unbook(task.ID);
    to.book({ ...task, NodeID: to.node.ID });
    return {
      taskId: task.ID,
      serviceId: service.ID,
      name: slotName(task),
      from: from.node.ID,
      to: to.node.ID,
      why: `${nodeName(from.node)} runs ${here} of its tasks, ${nodeName(to.node)} ${there}`,
    };
  }
  return undefined;
}

/** The youngest running task of the service here that may go: it has the least to lose. */
function movable(info: NodeInfo, serviceId: string): Task | undefined {
  let found: Task | undefined;
  for (const task of info.tasks()) {
    if (task.ServiceID !== serviceId || hasLocalData(task)) continue;
    if (task.Status.State !== "running" || compareStates(task.DesiredState, "running") !== 0) {
      continue;
    }
    if (task.NodeID !== info.node.ID) continue;
    if (
      !found || task.CreatedAt > found.CreatedAt ||
      (task.CreatedAt === found.CreatedAt && task.ID > found.ID)
    ) found = task;
  }
  return found;
}

/** Whether the task leaves something behind that its successor elsewhere would miss. */
export function hasLocalData(task: Task): boolean {
  return (task.Spec.ContainerSpec?.Mounts ?? []).some(({ Type, VolumeOptions }) => {
    if (Type === "tmpfs" || Type === "image") return false;
    const driver = VolumeOptions?.DriverConfig?.Name;
    return !(Type === "volume" && driver !== undefined && driver !== "" && driver !== "local");
  });
}
