import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import { Plan } from "./outcome.ts";
import type { Outcome, Situation } from "./outcome.ts";
import { newestFirst } from "./slots.ts";

/**
 * Forgets tasks of a service: those that shall be removed once they have stopped, and the oldest ended
 * ones of each slot beyond the cluster's history limit, which counts the live task too. A restart
 * policy with a number of attempts keeps that many more.
 */
export function reap(situation: Situation, serviceId: string): Outcome {
  const plan = new Plan();
  const { view } = situation;
  const service = view.get("service", serviceId);
  const attempts = service?.Spec.TaskTemplate?.RestartPolicy?.MaxAttempts ?? 0;
  const configured = clusterOf(view)?.Spec.Orchestration?.TaskHistoryRetentionLimit ??
    CLUSTER_DEFAULTS.taskHistoryRetentionLimit;
  const limit = attempts > 0 ? attempts + 1 : configured;
  const slots = new Map<string, Task[]>();
  for (const task of view.tasksOfService(serviceId)) {
    if (mayForget(situation, task)) {
      plan.changes.push({ op: "remove", table: "task", id: task.ID });
      continue;
    }
    const key = String(task.Slot ?? task.NodeID ?? "");
    slots.set(key, [...(slots.get(key) ?? []), task]);
  }
  if (limit < 0) return plan.outcome();
  for (const tasks of slots.values()) {
    const ended = tasks.sort(newestFirst).filter(isHistory);
    const surplus = Math.min(tasks.length - limit, ended.length);
    for (const task of surplus > 0 ? ended.slice(-surplus) : []) {
      plan.changes.push({ op: "remove", table: "task", id: task.ID });
    }
  }
  return plan.outcome();
}

/** A task to be removed that has stopped, never started, or whose node is gone for good. */
function mayForget({ view }: Situation, task: Task): boolean {
  if (task.DesiredState !== "remove") {
    return task.Status.State === "orphaned" &&
      view.get("service", task.ServiceID ?? "") === undefined;
  }
  if (task.NodeID === undefined || compareStates(task.Status.State, "assigned") < 0) return true;
  if (compareStates(task.Status.State, "complete") >= 0) return true;
  const node = view.get("node", task.NodeID);
  return node === undefined || node.Status.State === "down";
}

function isHistory(task: Task): boolean {
  if (isTerminal(task.Status.State)) return compareStates(task.DesiredState, "running") > 0;
  return task.NodeID === undefined && compareStates(task.DesiredState, "running") > 0;
}
