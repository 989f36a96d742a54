import type { Node } from "../../model/node.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { isOnNode } from "../../model/task_transitions.ts";
import type { View } from "../../model/view.ts";

/** The tasks of one place of a service, newest first. */
export interface Slot {
  /** Slot number, or node id for global services. */
  readonly key: string;
  readonly tasks: readonly Task[];
  /** Tasks of the place that only matter while they stop: those of a job's older iterations. */
  readonly older?: readonly Task[];
}

/** Everything that may still be on a node for this place. */
export function occupantsOf({ tasks, older }: Omit<Slot, "key">): readonly Task[] {
  return older ? [...tasks, ...older] : tasks;
}

/** Wanted to run (or, for jobs, to complete). */
export function isWanted(task: Task): boolean {
  return compareStates(task.DesiredState, "complete") <= 0;
}

/** Wanted, and nothing has ended it yet. */
export function isLive(task: Task): boolean {
  return isWanted(task) && !isTerminal(task.Status.State);
}

/** Not wanted any more, but its node may still run it. */
export function isStopping(view: View, task: Task): boolean {
  return !isWanted(task) && isOnNode(task.Status.State) &&
    !isGone(view.get("node", task.NodeID ?? ""));
}

export function slotKey(task: Task): string {
  return String(task.Slot ?? 0);
}

export function nodeKey(task: Task): string {
  return task.NodeID ?? "";
}

/** Tasks by place, in the order of the keys; within one, newest first. */
export function slotsOf(tasks: Iterable<Task>, keyOf: (task: Task) => string): Slot[] {
  const byKey = new Map<string, Task[]>();
  for (const task of tasks) {
    const key = keyOf(task);
    const held = byKey.get(key);
    if (held) held.push(task);
    else byKey.set(key, [task]);
  }
  return [...byKey].map(([key, held]) => ({
    key,
    tasks: held.length === 1 ? held : held.sort(newestFirst),
  })).sort((a, b) => compareKeys(a.key, b.key));
}

/** Times are written in one fixed form, so they compare as text. */
export function newestFirst(a: Task, b: Task): number {
  if (a.CreatedAt !== b.CreatedAt) return a.CreatedAt < b.CreatedAt ? 1 : -1;
  return b.Version.Index - a.Version.Index || (a.ID < b.ID ? 1 : -1);
}

function compareKeys(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? (a < b ? -1 : 1) : x - y;
}

/** Whether the node can neither run nor stop anything as far as the managers know. */
export function isGone(node: Node | undefined): boolean {
  return !node || node.Status.State === "down";
}

/** Whether tasks on this node have to go elsewhere, sooner or later. */
export function isVacated(node: Node | undefined): boolean {
  return isGone(node) || node?.Spec.Availability === "drain";
}
