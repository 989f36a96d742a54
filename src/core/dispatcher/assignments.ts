import type { Assignment, Assignments } from "../../model/session.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { addNetworks } from "./network_assignments.ts";

type Kind = Assignment["kind"];

/** What one node shall know now: its tasks, and what these reference while they run. */
export function assignmentsOf(view: View, nodeId: string): Map<string, Assignment> {
  const set = new Map<string, Assignment>();
  const tasks = [...view.tasksOfNode(nodeId)].filter((task) =>
    compareStates(task.Status.State, "assigned") >= 0
  )
    .sort((a, b) => a.ID < b.ID ? -1 : 1);
  for (const task of tasks) {
    set.set(`task/${task.ID}`, { kind: "task", id: task.ID, task });
    if (isTerminal(task.Status.State) || compareStates(task.DesiredState, "running") > 0) continue;
    const container = task.Spec.ContainerSpec;
    for (const { SecretID } of container?.Secrets ?? []) addFile(set, view, "secret", SecretID);
    for (const { ConfigID } of container?.Configs ?? []) addFile(set, view, "config", ConfigID);
  }
  addNetworks(set, view, nodeId, tasks);
  return set;
}

function addFile(
  set: Map<string, Assignment>,
  view: View,
  kind: "secret" | "config",
  id: string | undefined,
): void {
  const object = id === undefined ? undefined : view.get(kind, id);
  if (!object || set.has(`${kind}/${object.ID}`)) return;
  set.set(`${kind}/${object.ID}`, {
    kind,
    id: object.ID,
    name: object.Spec.Name ?? "",
    data: object.Spec.Data ?? "",
    ...(object.Spec.Templating?.Name ? { template: true } : {}),
  });
}

/** The whole set, as the first message of a session. */
export function completeAssignments(
  set: ReadonlyMap<string, Assignment>,
  resultsIn: number,
): Assignments {
  return { kind: "complete", appliesTo: 0, resultsIn, update: [...set.values()], remove: [] };
}

/** What changed between two sets, or undefined when nothing did that the node has to hear. */
export function diffAssignments(
  before: ReadonlyMap<string, Assignment>,
  after: ReadonlyMap<string, Assignment>,
  appliesTo: number,
): Assignments | undefined {
  const update: Assignment[] = [];
  for (const [key, item] of after) {
    const old = before.get(key);
    if (!old || !sameForNode(old, item)) update.push(item);
  }
  const remove: { kind: Kind; id: string }[] = [];
  for (const [key, { kind, id }] of before) if (!after.has(key)) remove.push({ kind, id });
  if (update.length === 0 && remove.length === 0) return undefined;
  return { kind: "incremental", appliesTo, resultsIn: appliesTo + 1, update, remove };
}

/** The node reported the task's state itself; only what it is asked to do matters. */
function sameForNode(a: Assignment, b: Assignment): boolean {
  if (a === b) return true;
  if (a.kind === "task" && b.kind === "task") {
    return a.task.DesiredState === b.task.DesiredState && a.task.Spec === b.task.Spec ||
      sameTask(a.task, b.task);
  }
  if (a.kind === "network" || a.kind === "endpoint" || a.kind === "service") {
    return JSON.stringify(a) === JSON.stringify(b);
  }
  return a.kind !== "task" && b.kind === a.kind && a.data === b.data;
}

function sameTask(a: Task, b: Task): boolean {
  return a.DesiredState === b.DesiredState && JSON.stringify(a.Spec) === JSON.stringify(b.Spec);
}
