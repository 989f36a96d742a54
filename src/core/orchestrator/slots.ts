import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { timeMs } from "../../model/meta.ts";

/** The tasks of one place of a service, newest first. */
export interface Slot {
  /** Slot number, or node id for global services. */
  readonly key: string;
  readonly tasks: readonly Task[];
}

/** Wanted to run, and nothing has ended it yet. */
export function isLive(task: Task): boolean {
  return compareStates(task.DesiredState, "running") <= 0 && !isTerminal(task.Status.State);
}

/** Wanted to run, but it ended: somebody has to decide what follows. */
export function hasEnded(task: Task): boolean {
  return compareStates(task.DesiredState, "complete") <= 0 && isTerminal(task.Status.State);
}

/** The tasks of a service by place, in the order of the keys; within one, newest first. */
export function slotsOf(view: View, service: Service, keyOf: (task: Task) => string): Slot[] {
  const byKey = new Map<string, Task[]>();
  for (const task of view.tasksOfService(service.ID)) {
    const key = keyOf(task);
    const tasks = byKey.get(key);
    if (tasks) tasks.push(task);
    else byKey.set(key, [task]);
  }
  return [...byKey].map(([key, tasks]) => ({ key, tasks: tasks.sort(newestFirst) }))
    .sort((a, b) => compareKeys(a.key, b.key));
}

export function newestFirst(a: Task, b: Task): number {
  return timeMs(b.CreatedAt) - timeMs(a.CreatedAt) || b.Version.Index - a.Version.Index ||
    (a.ID < b.ID ? 1 : -1);
}

function compareKeys(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? (a < b ? -1 : 1) : x - y;
}

/** Whether tasks on this node have to go elsewhere: it is gone, down or drained. */
export function isLost(node: Node | undefined): boolean {
  return !node || node.Status.State === "down" || node.Spec.Availability === "drain";
}

/** Whether the node cannot even stop its tasks. */
export function isUnreachable(node: Node | undefined): boolean {
  return !node || node.Status.State === "down";
}
