import { NS_PER_MS } from "../../base/duration.ts";
import { updateConfigOf } from "../../model/defaults.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import type { Service, UpdateStatus } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { isDirty } from "./dirty.ts";
import { newTask } from "./new_task.ts";
import type { Plan, Situation } from "./outcome.ts";
import { isLive } from "./slots.ts";
import type { Slot } from "./slots.ts";
import { stateSinceMs } from "./restart.ts";

const FAILED = ["failed", "rejected"];

/**
 * Rolls a changed spec out over the slots in use. All that it has to remember is in the tasks and in
 * UpdateStatus, so that another leader goes on where this one stopped.
 */
export function planUpdate(
  situation: Situation,
  plan: Plan,
  service: Service,
  slots: readonly Slot[],
): void {
  const status = service.UpdateStatus;
  if (status?.State === "paused" || status?.State === "rollback_paused") return;
  const rollback = status?.State === "rollback_started";
  const rollout = surveyRollout(situation, service, slots);
  const active = status?.State === "updating" || rollback;
  if (rollout.dirty.length === 0 && !active) return;
  if (!active) {
    setStatus(plan, service, {
      State: "updating",
      StartedAt: timeText(situation.nowMs),
      Message: "update in progress",
    });
    // The tasks follow at the next look, which this change brings about.
    return;
  }
  const config = updateConfigOf(service.Spec, rollback);
  if (config.FailureAction !== "continue" && tooManyFailed(situation, service, slots, config)) {
    stopRollout(situation, plan, service, rollback, config.FailureAction, rollout.failed[0]);
    return;
  }
  finishStartFirst(plan, rollout);
  const delayMs = config.Delay / NS_PER_MS;
  const cooling = rollout.fresh.filter((task) =>
    task.Status.State === "running" && stateSinceMs(task) + delayMs > situation.nowMs && delayMs > 0
  );
  for (const task of cooling) plan.wakeAt(stateSinceMs(task) + delayMs);
  const parallelism = config.Parallelism === 0 ? Infinity : config.Parallelism;
  const room = parallelism - rollout.underWay - cooling.length;
  for (const slot of rollout.dirty.slice(0, Math.max(0, Math.min(room, rollout.dirty.length)))) {
    replaceSlot(situation, plan, service, slot, config.Order === "start-first");
  }
  if (rollout.dirty.length > 0 || rollout.underWay > 0) return;
  const monitorMs = Math.max(
    config.Monitor / NS_PER_MS,
    delayMs >= config.Monitor / NS_PER_MS ? delayMs + 1000 : 0,
  );
  const lastStart = Math.max(0, ...rollout.fresh.map(stateSinceMs));
  if (rollout.fresh.length > 0 && lastStart + monitorMs > situation.nowMs) {
    plan.wakeAt(lastStart + monitorMs);
    return;
  }
  setStatus(plan, service, {
    ...status,
    State: rollback ? "rollback_completed" : "completed",
    CompletedAt: timeText(situation.nowMs),
    Message: rollback ? "rollback completed" : "update completed",
  });
}

interface Rollout {
  /** Slots whose live task has to be replaced and that have no new one yet. */
  readonly dirty: readonly Slot[];
  /** Slots with a new task that does not run yet. */
  readonly underWay: number;
  /** New tasks that live, made since the update began. */
  readonly fresh: readonly Task[];
  readonly failed: readonly Task[];
  /** Old tasks beside a new one that runs: start-first leaves them until then. */
  readonly outlived: readonly Task[];
}

function surveyRollout(situation: Situation, service: Service, slots: readonly Slot[]): Rollout {
  const startedMs = timeMs(service.UpdateStatus?.StartedAt);
  const dirty: Slot[] = [];
  const fresh: Task[] = [];
  const failed: Task[] = [];
  const outlived: Task[] = [];
  let underWay = 0;
  for (const slot of slots) {
    const live = slot.tasks.filter(isLive);
    const old = live.filter((task) =>
      isDirty(service, task, situation.view.get("node", task.NodeID ?? ""))
    );
    const clean = live.filter((task) => !old.includes(task));
    failed.push(...slot.tasks.filter((task) => isFailureOf(service, task, startedMs)));
    const made = clean.filter((task) => isOfUpdate(service, task, startedMs));
    fresh.push(...made);
    if (clean.length === 0 && (old.length > 0 || endedOld(service, slot))) dirty.push(slot);
    else if (made.some((task) => task.Status.State !== "running")) underWay++;
    else if (clean.some((task) => task.Status.State === "running")) outlived.push(...old);
  }
  return { dirty, underWay, fresh, failed, outlived };
}

/** The slot's last task ended for good under the old spec. */
function endedOld(service: Service, slot: Slot): boolean {
  const newest = slot.tasks[0];
  return newest !== undefined && isTerminal(newest.Status.State) &&
    newest.SpecVersion?.Index !== service.SpecVersion?.Index && !slot.tasks.some(isLive);
}

function isOfUpdate(service: Service, task: Task, startedMs: number): boolean {
  return task.SpecVersion?.Index === service.SpecVersion?.Index &&
    timeMs(task.CreatedAt) >= startedMs;
}

function isFailureOf(service: Service, task: Task, startedMs: number): boolean {
  return isOfUpdate(service, task, startedMs) && FAILED.includes(task.Status.State);
}

function tooManyFailed(
  situation: Situation,
  service: Service,
  slots: readonly Slot[],
  config: ReturnType<typeof updateConfigOf>,
): boolean {
  const startedMs = timeMs(service.UpdateStatus?.StartedAt);
  const failed = slots.filter((slot) =>
    slot.tasks.some((task) => isFailureOf(service, task, startedMs))
  );
  void situation;
  return failed.length > 0 && failed.length / Math.max(1, slots.length) > config.MaxFailureRatio;
}

function stopRollout(
  situation: Situation,
  plan: Plan,
  service: Service,
  rollback: boolean,
  action: string,
  task: Task | undefined,
): void {
  const name = task?.ID ?? "";
  if (rollback) {
    setStatus(plan, service, {
      ...service.UpdateStatus,
      State: "rollback_paused",
      Message: `rollback paused due to failure or early termination of task ${name}`,
    });
  } else if (action === "rollback" && service.PreviousSpec) {
    const { PreviousSpec, PreviousSpecVersion: _, ...rest } = service;
    plan.changes.push({
      op: "update",
      table: "service",
      object: {
        ...rest,
        Spec: PreviousSpec,
        SpecVersion: service.PreviousSpecVersion ?? { Index: 0 },
        UpdateStatus: {
          State: "rollback_started",
          StartedAt: timeText(situation.nowMs),
          Message: `update rolled back due to failure or early termination of task ${name}`,
        },
      },
    });
  } else {
    setStatus(plan, service, {
      ...service.UpdateStatus,
      State: "paused",
      Message: `update paused due to failure or early termination of task ${name}`,
    });
  }
}

function setStatus(plan: Plan, service: Service, status: UpdateStatus): void {
  plan.changes.push({
    op: "update",
    table: "service",
    object: { ...service, UpdateStatus: status },
  });
}

function replaceSlot(
  situation: Situation,
  plan: Plan,
  service: Service,
  slot: Slot,
  startFirst: boolean,
): void {
  const old = slot.tasks.filter(isLive);
  const predecessor = old[0];
  const task = newTask(situation, service, { slot: Number(slot.key) }, {
    DesiredState: startFirst || !predecessor ? "running" : "ready",
    ...(predecessor ? { Replaces: predecessor.ID } : {}),
  });
  plan.changes.push({ op: "create", table: "task", object: task });
  if (startFirst) return;
  for (const stale of old) stop(plan, stale);
}

/** With start-first the old task goes once the new one runs. */
function finishStartFirst(plan: Plan, rollout: Rollout): void {
  for (const task of rollout.outlived) stop(plan, task);
}

function stop(plan: Plan, task: Task): void {
  if (compareStates(task.DesiredState, "shutdown") >= 0) return;
  plan.changes.push({ op: "update", table: "task", object: { ...task, DesiredState: "shutdown" } });
}
