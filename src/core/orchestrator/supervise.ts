import { isJobMode, isRollingOut, modeOf } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { timeMs } from "../../model/meta.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { TaskState } from "../../model/task_state.ts";
import { isEvicted } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import { isOnNode } from "../../model/task_transitions.ts";
import { isDirty } from "./dirty.ts";
import type { Draft } from "./draft.ts";
import { newTask, placeOf } from "./new_task.ts";
import type { Place } from "./new_task.ts";
import { mayMove, mayRestart, moveFields, restartFields, stopDeadlineMs } from "./restart.ts";
import { isGone, isStopping, isWanted, occupantsOf } from "./slots.ts";
import type { Slot } from "./slots.ts";

/** A slot after its ended tasks were dealt with. */
export interface SlotState {
  readonly key: string;
  /** Everything that the store holds of the slot, newest first. */
  readonly tasks: readonly Task[];
  /** What lives or shall live, as planned, newest first. */
  readonly live: Task[];
  /**
   * Nothing lives, and the slot is taken all the same: the policy says that this was it, or the last
   * task failed while it still waited and its successor comes only when that wait is over.
   */
  readonly idle: "for good" | "until restart" | undefined;
}

export function isInUse(state: SlotState): boolean {
  return state.live.length > 0 || state.idle !== undefined;
}

/** The desired state of a task that shall do its work. */
export function workingState(service: Service): TaskState {
  return isJobMode(modeOf(service.Spec)) ? "complete" : "running";
}

/**
 * The restart supervisor within one slot: what ended, or lost its node, is told to stop and gets one
 * successor when the policy says so; a waiting task is let go when its time has come.
 */
export function superviseSlot(
  draft: Draft,
  slot: Slot,
  options: {
    /** Global tasks stay with their node: there is no elsewhere. */
    readonly global: boolean;
    /** Whether a live task has to leave its node at once. */
    readonly isLost?: (task: Task) => boolean;
  },
): SlotState {
  const { view } = draft.situation;
  const isLost = options.isLost ??
    ((task: Task) => task.NodeID !== undefined && isGone(view.get("node", task.NodeID)));
  const live: Task[] = [];
  const over: Task[] = [];
  for (const task of slot.tasks) {
    if (!isWanted(task)) continue;
    if (isTerminal(task.Status.State) || isLost(task)) over.push(task);
    else live.push(task);
  }
  const last = over[0];
  if (last && live.length === 0 && restsUntilDue(draft, last)) {
    return { key: slot.key, tasks: slot.tasks, live, idle: "until restart" };
  }
  for (const task of over) draft.raise(task, "shutdown");
  const fields = last && live.length === 0 ? succession(draft, last) : undefined;
  if (last && fields) {
    live.push(createWaiting(draft, slot, placeOf(last, options.global), fields));
  }
  letGo(draft, slot, live);
  const idle = live.length === 0 && endedForGood(draft.service, slot) ? "for good" : undefined;
  return { key: slot.key, tasks: slot.tasks, live, idle };
}

/**
 * A task that failed while it waited for its time is left alone until then: otherwise one that cannot be
 * prepared would be made anew without a rest.
 */
function restsUntilDue(draft: Draft, last: Task): boolean {
  const dueMs = timeMs(last.NotBefore);
  if (!isTerminal(last.Status.State) || isEvicted(last) || dueMs <= draft.nowMs) return false;
  if (isSuperseded(draft, last)) return false;
  draft.wakeAt(dueMs);
  return true;
}

/** The failures of a spec that is being replaced say nothing about the next one. */
function isSuperseded(draft: Draft, task: Task): boolean {
  const node = draft.situation.view.get("node", task.NodeID ?? "");
  return isRollingOut(draft.service) && isDirty(draft.service, task, node);
}

/** What a successor knows of the task it follows, or undefined when there shall be none. */
function succession(draft: Draft, last: Task): Partial<Task> | undefined {
  const { service, nowMs } = draft;
  if (!isTerminal(last.Status.State) || isEvicted(last)) {
    return mayMove(service) ? moveFields(service, last) : undefined;
  }
  if (!mayRestart(service, last)) return undefined;
  return isSuperseded(draft, last) ? { Replaces: last.ID } : restartFields(service, last, nowMs);
}

/** A new task of the slot; it waits for its time and for whatever of the slot is still on a node. */
export function createWaiting(
  draft: Draft,
  slot: Omit<Slot, "key">,
  place: Place,
  fields: Partial<Task>,
): Task {
  const { view } = draft.situation;
  const due = timeMs(fields.NotBefore) <= draft.nowMs;
  const free = !occupantsOf(slot).some((task) =>
    isOnNode(task.Status.State) && !isGone(view.get("node", task.NodeID ?? ""))
  );
  return draft.create(newTask(draft.situation, draft.service, place, {
    DesiredState: due && free ? workingState(draft.service) : "ready",
    ...fields,
  }));
}

/**
 * Lets the slot's waiting task work once its delay is over, nothing in the slot still stops and no other
 * task serves. While another one serves, the rollout decides.
 */
function letGo(draft: Draft, slot: Slot, live: Task[]): void {
  if (live.length === 0 || live.some((task) => task.DesiredState !== "ready")) return;
  for (const surplus of live.splice(1)) draft.raise(surplus, "shutdown");
  const task = live[0]!;
  const atMs = Math.max(timeMs(task.NotBefore), stoppedByMs(draft, slot));
  if (atMs <= draft.nowMs) live[0] = draft.raise(task, workingState(draft.service));
  else draft.wakeAt(atMs);
}

/** When nothing of the slot is waited for any more; 0 when nothing stops. */
function stoppedByMs(draft: Draft, slot: Slot): number {
  const stopping = occupantsOf(slot).map((task) => draft.current(task))
    .filter((task) => isStopping(draft.situation.view, task));
  return Math.max(0, ...stopping.map(stopDeadlineMs));
}

/** The newest task ended and the policy wants no other: the slot keeps it and is not filled again. */
function endedForGood(service: Service, slot: Slot): boolean {
  const newest = slot.tasks[0];
  if (!newest || newest.DesiredState === "remove") return false;
  // A rollback brings every slot back to life.
  if (service.UpdateStatus?.State === "rollback_started") return false;
  if (!isTerminal(newest.Status.State)) return !mayMove(service);
  return !mayRestart(service, newest);
}
