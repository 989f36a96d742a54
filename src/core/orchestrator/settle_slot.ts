import type { Service } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { newTask } from "./new_task.ts";
import type { Place } from "./new_task.ts";
import type { Plan, Situation } from "./outcome.ts";
import { mayStartAtMs, shouldRestart, successorOf } from "./restart.ts";
import { hasEnded, isLive, isLost, isUnreachable } from "./slots.ts";
import type { Slot } from "./slots.ts";

/**
 * Restarts and promotes within one slot. Answers whether the slot is in use: a task lives or is about
 * to, or the last one ended and the restart policy says that this was it.
 */
export function settleSlot(
  situation: Situation,
  plan: Plan,
  service: Service,
  slot: Slot,
): boolean {
  const { view, nowMs } = situation;
  let live = 0;
  let followed = false;
  for (const task of slot.tasks) {
    const node = task.NodeID === undefined ? undefined : view.get("node", task.NodeID);
    const lost = task.NodeID !== undefined && isLost(node);
    if (isLive(task) && !lost) {
      live++;
      if (task.DesiredState === "ready") promote(situation, plan, task);
      continue;
    }
    if (!hasEnded(task) && !(isLive(task) && lost)) continue;
    const restart = lost || shouldRestart(service, task, slot.tasks);
    plan.changes.push({
      op: "update",
      table: "task",
      object: { ...task, DesiredState: "shutdown" },
    });
    // A slot gets one successor, whatever number of its tasks ended.
    if (
      !restart || followed ||
      slot.tasks.some((other) => other !== task && isLive(other) && !isOnLost(situation, other))
    ) {
      if (!restart) live++;
      continue;
    }
    followed = true;
    live++;
    const place: Place = task.Slot === undefined ? {} : { slot: task.Slot };
    const successor = newTask(
      situation,
      service,
      place,
      successorOf(service, task, { nowMs, immediate: lost }),
    );
    if (lost && isUnreachable(node)) {
      plan.changes.push({
        op: "create",
        table: "task",
        object: { ...successor, DesiredState: "running" },
      });
    } else {
      plan.changes.push({ op: "create", table: "task", object: successor });
      plan.wakeAt(Date.parse(successor.NotBefore!));
    }
  }
  return live > 0 || endedForGood(service, slot);
}

function isOnLost(situation: Situation, task: Task): boolean {
  return task.NodeID !== undefined && isLost(situation.view.get("node", task.NodeID));
}

/** The newest task ended and the policy wants no other: the slot keeps it and is not filled again. */
function endedForGood(service: Service, slot: Slot): boolean {
  const newest = slot.tasks[0];
  if (!newest || compareStates(newest.DesiredState, "remove") >= 0) return false;
  if (
    !isTerminal(newest.Status.State) || newest.Status.State === "shutdown" ||
    newest.Status.State === "orphaned"
  ) return false;
  if (newest.SpecVersion?.Index !== service.SpecVersion?.Index) return false;
  return !shouldRestart(service, newest, slot.tasks);
}

/** Lets a waiting successor run once its delay is over and its predecessor has stopped. */
function promote(situation: Situation, plan: Plan, task: Task): void {
  const { view, nowMs } = situation;
  const predecessor = task.Replaces === undefined ? undefined : view.get("task", task.Replaces);
  const predecessorNode = predecessor?.NodeID === undefined
    ? undefined
    : view.get("node", predecessor.NodeID);
  const lost = predecessor?.NodeID !== undefined && isUnreachable(predecessorNode);
  const atMs = mayStartAtMs(task, predecessor, lost);
  if (atMs !== undefined && atMs <= nowMs) {
    plan.changes.push({
      op: "update",
      table: "task",
      object: { ...task, DesiredState: "running" },
    });
  } else if (atMs !== undefined) plan.wakeAt(atMs);
}
