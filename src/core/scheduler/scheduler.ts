import { timeText } from "../../model/meta.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { Change, View } from "../../model/view.ts";
import { explain, filtersFor } from "./filters.ts";
import { MANY_FAILURES, NodeLoad, versionKey } from "./node_load.ts";
import { spreadBranches } from "./preferences.ts";

/** Whether a task waits for a node. */
export function isPending(task: Task): boolean {
  return task.Status.State === "pending" && compareStates(task.DesiredState, "complete") <= 0;
}

/**
 * Places every pending task that fits somewhere and says of every other why not. Tasks of one service
 * and spec version are placed together, in the order of their slots.
 */
export function schedule(view: View, nowMs: number): Change[] {
  const groups = new Map<string, Task[]>();
  const changes: Change[] = [];
  for (const task of view.all("task")) {
    if (task.Status.State !== "pending") continue;
    if (!isPending(task)) {
      changes.push(dropped(task, nowMs));
      continue;
    }
    const key = `${versionKey(task)}/${task.NodeID ?? ""}`;
    const group = groups.get(key);
    if (group) group.push(task);
    else groups.set(key, [task]);
  }
  if (groups.size === 0) return changes;
  const loads = [...view.all("node")].map((node) => new NodeLoad(view, node, nowMs))
    .sort((a, b) => a.node.ID < b.node.ID ? -1 : 1);
  for (const [, tasks] of [...groups].sort(([a], [b]) => a < b ? -1 : 1)) {
    tasks.sort((a, b) => (a.Slot ?? 0) - (b.Slot ?? 0) || (a.ID < b.ID ? -1 : 1));
    placeGroup(changes, tasks, loads, nowMs);
  }
  return changes;
}

function placeGroup(
  changes: Change[],
  tasks: readonly Task[],
  loads: readonly NodeLoad[],
  nowMs: number,
): void {
  const first = tasks[0]!;
  const filters = filtersFor(first);
  const candidates = first.NodeID === undefined
    ? loads
    : loads.filter(({ node }) => node.ID === first.NodeID);
  const refuse = (load: NodeLoad) => {
    for (const filter of filters) {
      const reason = filter(load);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
  let fitting = candidates.filter((load) => refuse(load) === undefined);
  const preferences = first.Spec.Placement?.Preferences ?? [];
  for (const task of tasks) {
    fitting = fitting.filter((load) => refuse(load) === undefined);
    const pool = preferences.length > 0 ? spreadBranches(fitting, preferences, task) : fitting;
    const chosen = best(pool, task);
    if (!chosen) {
      const reason = explain(
        candidates.map((load) => refuse(load)).filter((text) => text !== undefined),
      );
      if (task.Status.Err !== reason) changes.push(unplaced(task, reason, nowMs));
      continue;
    }
    const generic = chosen.claim(task);
    const placed = assigned(task, chosen.node.ID, generic, nowMs);
    chosen.add(placed);
    changes.push({ op: "update", table: "task", object: placed });
  }
}

/** Fewest recent failures when there are many, then fewest of this service, then fewest in all. */
function best(loads: readonly NodeLoad[], task: Task): NodeLoad | undefined {
  const service = task.ServiceID ?? "";
  const version = versionKey(task);
  let winner: NodeLoad | undefined;
  for (const load of loads) {
    if (!winner || isBetter(load, winner, service, version)) winner = load;
  }
  return winner;
}

function isBetter(a: NodeLoad, b: NodeLoad, service: string, version: string): boolean {
  const [fa, fb] = [a.failures.get(version) ?? 0, b.failures.get(version) ?? 0];
  if ((fa >= MANY_FAILURES || fb >= MANY_FAILURES) && fa !== fb) return fa < fb;
  const [sa, sb] = [a.perService.get(service) ?? 0, b.perService.get(service) ?? 0];
  if (sa !== sb) return sa < sb;
  if (a.total !== b.total) return a.total < b.total;
  return fa < fb;
}

function assigned(
  task: Task,
  nodeId: string,
  generic: Task["GenericResources"],
  nowMs: number,
): Task {
  const { Err: _, ...status } = task.Status;
  return {
    ...task,
    NodeID: nodeId,
    ...(generic?.length ? { GenericResources: generic } : {}),
    Status: {
      ...status,
      State: "assigned",
      Timestamp: timeText(nowMs),
      AppliedAt: timeText(nowMs),
      Message: task.NodeID === undefined
        ? "scheduler assigned task to node"
        : "scheduler confirmed task can run on preassigned node",
    },
  };
}

function unplaced(task: Task, reason: string, nowMs: number): Change {
  return {
    op: "update",
    table: "task",
    object: {
      ...task,
      Status: {
        ...task.Status,
        Timestamp: timeText(nowMs),
        Message: "pending task scheduling",
        Err: reason,
      },
    },
  };
}

/** A task that nobody wants any more before it got a node. */
function dropped(task: Task, nowMs: number): Change {
  return {
    op: "update",
    table: "task",
    object: {
      ...task,
      Status: {
        ...task.Status,
        State: "shutdown",
        Timestamp: timeText(nowMs),
        AppliedAt: timeText(nowMs),
        Message: "shutdown before it was scheduled",
      },
    },
  };
}
