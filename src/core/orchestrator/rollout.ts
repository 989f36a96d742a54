import { timeMs } from "../../model/meta.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { isOnNode } from "../../model/task_transitions.ts";
import type { Draft } from "./draft.ts";
import type { Place } from "./new_task.ts";
import { isRelocating } from "./relocate.ts";
import { isOfVersion, mayRestart, moveFields, restartFields, stateSinceMs } from "./restart.ts";
import { createWaiting, workingState } from "./supervise.ts";
import type { SlotState } from "./supervise.ts";

/** What the rollout of one slot has to do next. */
export interface Stage {
  readonly slot: SlotState;
  /** Live tasks that have to be replaced: of an old spec, or on a node that shall be empty. */
  readonly stale: readonly Task[];
  /** Live tasks that may stay, the one to keep first. */
  readonly fresh: readonly Task[];
  /** The slot holds a task of an old spec, or ended under one. */
  readonly outdated: boolean;
  /** A stale task has to leave its node, whatever its spec. */
  readonly misplaced: boolean;
  /** The first task that the rollout made for the slot under the current spec; it may have ended. */
  readonly attempt: Task | undefined;
}

export interface StageRules {
  readonly isOutdated: (task: Task) => boolean;
  readonly isMisplaced: (task: Task) => boolean;
}

export function stageOf(draft: Draft, slot: SlotState, rules: StageRules): Stage {
  const stale: Task[] = [];
  const fresh: Task[] = [];
  let outdated = false;
  let misplaced = false;
  for (const task of slot.live) {
    const old = rules.isOutdated(task);
    const away = rules.isMisplaced(task);
    outdated ||= old;
    misplaced ||= away;
    (old || away ? stale : fresh).push(task);
  }
  const newest = slot.tasks[0];
  if (slot.idle && newest) outdated ||= rules.isOutdated(newest);
  return {
    slot,
    stale,
    fresh: fresh.sort(keepFirst),
    outdated,
    misplaced,
    attempt: slot.tasks.find((task) => isFirstAttempt(draft, task)),
  };
}

/** Made by the rollout, or moved while it ran; restarts of it are the supervisor's. */
function isFirstAttempt(draft: Draft, task: Task): boolean {
  return task.Replaces !== undefined && !task.RestartCount && isOfVersion(draft.service, task);
}

/** What serves is worth more than what is about to; among equals the newer one stays. */
function keepFirst(a: Task, b: Task): number {
  return compareStates(b.Status.State, a.Status.State) ||
    (a.CreatedAt < b.CreatedAt ? 1 : a.CreatedAt > b.CreatedAt ? -1 : a.ID < b.ID ? 1 : -1);
}

/** Whether the slot's replacement is on its way: it takes up one of the parallel places. */
export function isUnderWay({ fresh }: Stage): boolean {
  return fresh.some((task) =>
    task.Replaces !== undefined && !task.RestartCount &&
    compareStates(task.Status.State, "running") < 0
  );
}

/**
 * The slot's first replacement failed, the old task went on serving, and now a later one takes its place:
 * stops it, or starts beside it. Until it runs that takes up a parallel place as well; one that is still
 * being prepared takes up none, or an image that cannot be had would hold everything up.
 */
function isSecondTry(draft: Draft, task: Task): boolean {
  const old = task.RestartCount ? draft.situation.view.get("task", task.Replaces ?? "") : undefined;
  return old !== undefined && !isOfVersion(draft.service, old);
}

function hasSecondTurn(draft: Draft, { fresh, stale }: Stage): boolean {
  return fresh.some((task) =>
    isSecondTry(draft, task) && compareStates(task.Status.State, "running") < 0 &&
    (stale.length === 0 || task.DesiredState !== "ready")
  );
}

/** When the slot's place is free for another one if the delay is over: it was replaced, or that failed. */
function replacedAtMs(draft: Draft, stage: Stage): number {
  const later = stage.fresh.filter((task) => isSecondTry(draft, task))
    .map((task) => timeMs(task.RunningAt));
  return Math.max(attemptedAtMs(stage), ...later);
}

/** When the slot's replacement began to run or failed to; 0 when there is none that did. */
export function attemptedAtMs({ attempt }: Stage): number {
  if (!attempt) return 0;
  if (attempt.RunningAt) return timeMs(attempt.RunningAt);
  return isTerminal(attempt.Status.State) ? stateSinceMs(attempt) : 0;
}

/** Whether nothing more will be done for an outdated slot: its replacement failed and may not be retried. */
function isGivenUp(draft: Draft, { slot, fresh, attempt }: Stage): boolean {
  const last = slot.tasks[0];
  return fresh.length === 0 && attempt !== undefined && last !== undefined &&
    isTerminal(last.Status.State) && isOfVersion(draft.service, last) &&
    !mayRestart(draft.service, last);
}

/** Whether the slot still waits for the rollout to reach it. */
export function isAhead(draft: Draft, stage: Stage): boolean {
  return stage.fresh.length === 0 && (stage.stale.length > 0 || stage.outdated) &&
    !isGivenUp(draft, stage);
}

export interface Pace {
  /** Slots that may be without their task at once; `Infinity` for all. */
  readonly parallelism: number;
  /** Milliseconds between one slot's replacement running and the next slot's turn. */
  readonly delayMs: number;
  readonly startFirst: boolean;
}

/**
 * Moves every slot one step on: begins replacements as far as the pace allows, stops the old task where
 * the new one is prepared (stop-first) or runs (start-first). A running task is not stopped before its
 * successor has found a node and is prepared there: an image that cannot be had or a constraint that no
 * node meets stops nothing.
 */
export function advance(
  draft: Draft,
  stages: readonly Stage[],
  pace: Pace,
  placeOfSlot: (stage: Stage) => Place,
): void {
  let taken = 0;
  for (const stage of stages) {
    if (isUnderWay(stage) || hasSecondTurn(draft, stage)) taken++;
    else if (pace.delayMs > 0) {
      const until = replacedAtMs(draft, stage) + pace.delayMs;
      if (until <= draft.nowMs) continue;
      taken++;
      draft.wakeAt(until);
    }
  }
  for (const stage of stages) {
    const [kept] = stage.fresh;
    if (!kept) continue;
    const needsTurn = stage.stale.length > 0 && kept.DesiredState === "ready" &&
      isSecondTry(draft, kept);
    if (needsTurn && taken >= pace.parallelism) continue;
    if (proceed(draft, stage, pace, placeOfSlot(stage)) && needsTurn) taken++;
  }
  const ahead = stages.filter((stage) => isAhead(draft, stage));
  // What does not serve loses nothing by going first; whose turn it has been goes last.
  const serving = (stage: Stage) => stage.stale.some(({ Status }) => Status.State === "running");
  const rank = (stage: Stage) => isRetry(draft, stage) ? 2 : Number(serving(stage));
  ahead.sort((a, b) => rank(a) - rank(b));
  for (const stage of ahead) {
    const preparesOnly = isRetry(draft, stage) && !startsFirst(draft, stage, pace);
    if (preparesOnly) begin(draft, stage, pace, placeOfSlot(stage));
    else if (taken < pace.parallelism) {
      if (begin(draft, stage, pace, placeOfSlot(stage))) taken++;
    }
  }
}

/** The rollout has been at this slot, its replacement failed, and the old task still serves. */
function isRetry(draft: Draft, { slot, attempt }: Stage): boolean {
  const last = slot.tasks[0];
  return attempt !== undefined && last !== undefined && isTerminal(last.Status.State) &&
    last.Status.State !== "shutdown" && isOfVersion(draft.service, last);
}

/** False when it has to wait for its time. */
function begin(draft: Draft, stage: Stage, pace: Pace, place: Place): boolean {
  const { slot, stale } = stage;
  const old = stale[0] ?? slot.tasks[0];
  const last = slot.tasks[0];
  const retry = isRetry(draft, stage);
  if (retry && timeMs(last!.NotBefore) > draft.nowMs) {
    draft.wakeAt(timeMs(last!.NotBefore));
    return false;
  }
  const fields: Partial<Task> = retry
    ? { ...restartFields(draft.service, last!, draft.nowMs), ...replaces(old) }
    : stage.outdated || !old
    ? replaces(old)
    : { ...moveFields(draft.service, old), ...preference(draft, old) };
  const startFirst = startsFirst(draft, stage, pace);
  const stopNow = !startFirst && !stale.some(({ Status }) => Status.State === "running");
  if (stopNow) { for (const task of stale) draft.raise(task, "shutdown"); }
  const due = timeMs(fields.NotBefore) <= draft.nowMs;
  if (!due) draft.wakeAt(timeMs(fields.NotBefore));
  if (startFirst && due) createNow(draft, slot, place, fields);
  else createWaiting(draft, slot, place, fields);
  return due;
}

/** A move for an even spread alone always starts first; what an update replaces follows its order. */
function startsFirst(draft: Draft, { stale, outdated }: Stage, pace: Pace): boolean {
  return pace.startFirst || (!outdated && stale.some((task) => isRelocating(draft, task)));
}

/** Beside the task that serves. */
function createNow(draft: Draft, slot: SlotState, place: Place, fields: Partial<Task>): void {
  const task = createWaiting(draft, slot, place, fields);
  draft.raise(task, workingState(draft.service));
}

function replaces(old: Task | undefined): Partial<Task> {
  return old ? { Replaces: old.ID } : {};
}

function preference(draft: Draft, old: Task): Partial<Task> {
  const to = isRelocating(draft, old) ? old.Relocate?.To : undefined;
  return to === undefined ? {} : { PreferredNodeID: to };
}

/**
 * A slot with a new task: keeps one, and lets the old ones go when the order says so. Whether the new one
 * now takes the place of the old.
 */
function proceed(draft: Draft, stage: Stage, pace: Pace, place: Place): boolean {
  const { fresh, stale } = stage;
  const [kept, ...surplus] = fresh;
  for (const task of surplus) draft.raise(task, "shutdown");
  if (!kept || stale.length === 0) return false;
  const startFirst = startsFirst(draft, stage, pace);
  if (kept.DesiredState === "ready") {
    const due = timeMs(kept.NotBefore) <= draft.nowMs;
    if (!due) draft.wakeAt(timeMs(kept.NotBefore));
    else if (startFirst) startBeside(draft, stage, kept, place);
    else if (isPrepared(kept) || mayStopEarly(stage, kept)) stopAll(draft, stale);
    else return false;
    return due;
  }
  if (kept.Status.State === "running") stopAll(draft, stale);
  return false;
}

/**
 * Lets a task that waited work beside those that serve. While it waited the scheduler may have given it
 * what one of them holds on the same node; then a new task takes its turn and is placed where there is
 * room for both.
 */
function startBeside(draft: Draft, { slot, stale }: Stage, kept: Task, place: Place): void {
  const shares = slot.tasks.some((task) =>
    task.ID !== kept.ID && task.NodeID === kept.NodeID && isOnNode(task.Status.State)
  );
  if (!shares || !isOnNode(kept.Status.State) || !holdsRoom(kept)) {
    draft.raise(kept, workingState(draft.service));
    return;
  }
  draft.raise(kept, "shutdown");
  const old = stale[0]!;
  const fields = {
    ...moveFields(draft.service, kept),
    ...preference(draft, old),
    ...replaces(old),
  };
  createNow(draft, slot, place, fields);
}

/** Whether there is something on its node that no other task can have at the same time. */
function holdsRoom({ Spec, EndpointSpec }: Task): boolean {
  return Spec.Resources?.Reservations !== undefined ||
    (EndpointSpec?.Ports ?? []).some(({ PublishMode }) => PublishMode === "host");
}

function isPrepared(task: Task): boolean {
  return compareStates(task.Status.State, "ready") >= 0;
}

/** A task that does not serve need not wait; nor one that has to leave while no other node has room. */
function mayStopEarly({ stale, misplaced }: Stage, kept: Task): boolean {
  if (!stale.some(({ Status }) => Status.State === "running")) return true;
  return misplaced && kept.Status.State === "pending" && kept.Status.Err !== undefined;
}

function stopAll(draft: Draft, tasks: readonly Task[]): void {
  for (const task of tasks) draft.raise(task, "shutdown");
}
