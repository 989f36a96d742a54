import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { isJobMode, modeOf } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import type { Change } from "../../model/view.ts";
import { isOfIteration } from "./jobs.ts";
import { outcomeOf } from "./outcome.ts";
import type { Outcome, Situation } from "./outcome.ts";
import { isGone, isWanted, slotsOf } from "./slots.ts";
import { countsAsFailure } from "./update.ts";

/**
 * Forgets tasks of a service: those that shall be removed once they have stopped, and the oldest ended
 * ones of each slot beyond the cluster's history limit, which counts the live task too, whatever the
 * restart policy says; a negative limit keeps everything.
 */
export function reap(situation: Situation, serviceId: string): Outcome {
  const changes: Change[] = [];
  const { view } = situation;
  const service = view.get("service", serviceId);
  const limit = historyLimit(situation);
  const kept: Task[] = [];
  for (const task of view.tasksOfService(serviceId)) {
    if (mayForget(situation, service, task)) {
      changes.push({ op: "remove", table: "task", id: task.ID });
    } else kept.push(task);
  }
  if (limit < 0) return outcomeOf(changes);
  for (const { tasks } of slotsOf(kept, placeKey)) {
    if (tasks.length <= limit) continue;
    const history = tasks.filter((task) => isHistory(service, task));
    const surplus = Math.min(tasks.length - limit, history.length);
    for (const task of surplus > 0 ? history.slice(-surplus) : []) {
      changes.push({ op: "remove", table: "task", id: task.ID });
    }
  }
  return outcomeOf(changes);
}

/** Tasks of one slot that the store keeps. */
function historyLimit({ view }: Situation): number {
  return clusterOf(view)?.Spec.Orchestration?.TaskHistoryRetentionLimit ??
    CLUSTER_DEFAULTS.taskHistoryRetentionLimit;
}

function placeKey(task: Task): string {
  return task.Slot === undefined ? `node ${task.NodeID ?? ""}` : String(task.Slot);
}

/** A task to be removed that has stopped, never started, or whose node is gone for good. */
function mayForget({ view }: Situation, service: Service | undefined, task: Task): boolean {
  if (task.DesiredState !== "remove") return task.Status.State === "orphaned" && !service;
  if (task.NodeID === undefined || compareStates(task.Status.State, "assigned") < 0) return true;
  return isTerminal(task.Status.State) || isGone(view.get("node", task.NodeID));
}

/** Whether only people who look back still care about a task. */
function isHistory(service: Service | undefined, task: Task): boolean {
  if (isWanted(task)) return false;
  if (service && countsAsFailure(service, task)) return false;
  if (service && isJobMode(modeOf(service.Spec)) && isCompletion(service, task)) return false;
  return isTerminal(task.Status.State) || compareStates(task.Status.State, "assigned") < 0;
}

/** Completions of the current iteration are the job's result. */
function isCompletion(service: Service, task: Task): boolean {
  return task.Status.State === "complete" && isOfIteration(service, task);
}
