import { timeText } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import type { Task } from "../../model/task.ts";
import { assertTransition } from "../../model/task_transitions.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import { waitsFor } from "./dependencies.ts";
import { PlacementGroup } from "./group.ts";
import type { Placed } from "./group.ts";
import { isBooked, isNodeFailure, NodeInfo, versionKey } from "./node_info.ts";

/** What a look wants changed, and when it wants to look again without being asked. */
export interface Schedule {
  readonly changes: readonly Change[];
  /** Milliseconds since 1970. */
  readonly wakeAtMs?: number;
}

/** The reason of a waiting task is not rewritten more often than this, however the numbers in it move. */
const REASON_REFRESH_MS = 10_000;

/**
 * Gives every pending task that fits somewhere a node, and says of every other why not. Keeps what is on
 * the nodes between looks, fed by the store's changes; the same inputs give the same decisions.
 */
export class Scheduler {
  readonly #nodes = new Map<string, NodeInfo>();
  readonly #pending = new Map<string, Task>();
  /** Whether a waiting task's service depends on others: then their progress is worth a look. */
  #dependent = false;

  /** Starts over from a view. */
  resync(view: View): void {
    this.#nodes.clear();
    this.#pending.clear();
    for (const node of view.all("node")) this.#setNode(node);
    for (const task of view.all("task")) this.#setTask(task, undefined);
  }

  /** Takes changes of the store over. True when waiting tasks may fit now, or new ones wait. */
  apply(changes: readonly Applied[]): boolean {
    let look = false;
    for (const change of changes) {
      if (change.table === "node") {
        const node = change.object as Node;
        if (change.op === "remove") this.#nodes.delete(node.ID);
        else this.#setNode(node);
        look = true;
      } else if (change.table === "task") {
        const task = change.object as Task;
        const previous = change.previous as Task | undefined;
        if (change.op === "remove") this.#removeTask(task);
        else this.#setTask(task, previous);
        const frees = previous ? isBooked(previous) && !isBooked(task) : isBooked(task);
        if (frees || task.Status.State === "pending") look = true;
        if (this.#dependent && task.Status.State !== previous?.Status.State) look = true;
      } else if (change.table === "service" && this.#dependent) look = true;
    }
    return look;
  }

  #setNode(node: Node): void {
    const info = this.#nodes.get(node.ID);
    if (info) info.node = node;
    else this.#nodes.set(node.ID, new NodeInfo(node));
  }

  #setTask(task: Task, previous: Task | undefined): void {
    if (previous?.NodeID !== undefined && previous.NodeID !== task.NodeID) {
      this.#nodes.get(previous.NodeID)?.unbook(task.ID);
    }
    if (task.Status.State === "pending") this.#pending.set(task.ID, task);
    else this.#pending.delete(task.ID);
    const info = this.#nodes.get(task.NodeID ?? "");
    if (!info) return;
    if (isBooked(task)) return info.book(task);
    info.unbook(task.ID);
    if (isNodeFailure(task) && previous?.Status.State !== task.Status.State) info.noteFailure(task);
  }

  #removeTask(task: Task): void {
    this.#pending.delete(task.ID);
    this.#nodes.get(task.NodeID ?? "")?.unbook(task.ID);
  }

  /**
   * Places what waits. `view` must be the state that the changes so far led to. Tasks of one service and
   * spec version are placed together, the service that waits longest first, in the order of the slots.
   */
  schedule(view: View, nowMs: number): Schedule {
    if (this.#pending.size === 0) return { changes: [] };
    const now = timeText(nowMs);
    const changes: Change[] = [];
    const groups = new Map<string, Task[]>();
    for (const task of this.#pending.values()) {
      if (isUnwanted(task)) {
        changes.push(dropped(task, now));
        continue;
      }
      const key = versionKey(task);
      const group = groups.get(key);
      if (group) group.push(task);
      else groups.set(key, [task]);
    }
    const infos = [...this.#nodes.values()].sort((a, b) => a.node.ID < b.node.ID ? -1 : 1);
    const queue = [...groups].map(([key, tasks]) => ({ key, tasks, since: oldest(tasks) }))
      .sort((a, b) => a.since < b.since ? -1 : a.since > b.since ? 1 : a.key < b.key ? -1 : 1);
    const placed: Placed[] = [];
    let wakeAtMs = Infinity;
    this.#dependent = false;
    for (const { tasks } of queue) {
      tasks.sort((a, b) => (a.Slot ?? 0) - (b.Slot ?? 0) || (a.ID < b.ID ? -1 : 1));
      const unready = waitsFor(view, tasks[0]!.ServiceID);
      this.#dependent ||= unready !== undefined;
      const group = new PlacementGroup(view, infos, this.#nodes, tasks[0]!, nowMs);
      for (const task of tasks) {
        const result = unready ?? group.place(task);
        if (typeof result !== "string") {
          const object = assigned(task, result, now);
          result.info.count(object, 1);
          placed.push({ ...result, task: object });
          changes.push({ op: "update", table: "task", object });
        } else if (task.Status.Err !== result) {
          const due = refreshAtMs(task);
          if (due <= nowMs) changes.push(waiting(task, result, now));
          else wakeAtMs = Math.min(wakeAtMs, due);
        }
      }
    }
    // What this look placed is not booked before it is stored.
    for (const { info, task } of placed) info.count(task, -1);
    return wakeAtMs === Infinity ? { changes } : { changes, wakeAtMs };
  }

  /** What is known of the nodes, by id; for planning, not for keeping. */
  nodes(): ReadonlyMap<string, NodeInfo> {
    return this.#nodes;
  }
}

/** One look from nothing but a view; for tests and rare callers. */
export function schedule(view: View, nowMs: number): Schedule {
  const scheduler = new Scheduler();
  scheduler.resync(view);
  return scheduler.schedule(view, nowMs);
}

function oldest(tasks: readonly Task[]): string {
  return tasks.reduce((min, { CreatedAt }) => CreatedAt < min ? CreatedAt : min, "9");
}

/** When a reason that was told may be told differently. */
function refreshAtMs(task: Task): number {
  if (task.Status.Err === undefined) return 0;
  return Date.parse(task.Status.Timestamp ?? "") + REASON_REFRESH_MS;
}

function isUnwanted(task: Task): boolean {
  return task.DesiredState === "shutdown" || task.DesiredState === "remove";
}

function assigned(task: Task, { info, generic }: Placed, now: string): Task {
  const { Err: _, ...status } = task.Status;
  const object: Task = {
    ...task,
    NodeID: info.node.ID,
    ...(generic.length > 0 ? { GenericResources: generic } : {}),
    Status: {
      ...status,
      State: "assigned",
      Timestamp: now,
      AppliedAt: now,
      Message: task.NodeID === undefined
        ? "scheduler assigned task to node"
        : "scheduler confirmed task can run on preassigned node",
    },
  };
  assertTransition("scheduler", task, object);
  return object;
}

function waiting(task: Task, reason: string, now: string): Change {
  const object: Task = {
    ...task,
    Status: { ...task.Status, Timestamp: now, Message: "pending task scheduling", Err: reason },
  };
  return { op: "update", table: "task", object };
}

/** A task that nobody wants any more before it got a node. */
function dropped(task: Task, now: string): Change {
  const { Err: _, ...status } = task.Status;
  const object: Task = {
    ...task,
    Status: {
      ...status,
      State: "shutdown",
      Timestamp: now,
      AppliedAt: now,
      Message: "shutdown before it was scheduled",
    },
  };
  assertTransition("scheduler", task, object);
  return { op: "update", table: "task", object };
}
