import { NS_PER_MS } from "../../base/duration.ts";
import { updateConfigOf } from "../../model/defaults.ts";
import { restartPolicyOf } from "../../model/defaults.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import { withFreePorts } from "../../model/free_ports.ts";
import { isRollingOut } from "../../model/service.ts";
import type { Service, UpdateStatus } from "../../model/service.ts";
import type { UpdateConfig } from "../../model/service_spec.ts";
import { isEvicted } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import type { Draft } from "./draft.ts";
import type { Place } from "./new_task.ts";
import { isOfVersion, stateSinceMs } from "./restart.ts";
import { advance, attemptedAtMs, isAhead, isUnderWay, stageOf } from "./rollout.ts";
import type { Pace, Stage, StageRules } from "./rollout.ts";
import type { SlotState } from "./supervise.ts";

type Config = Required<UpdateConfig>;

/** With a delay as long as the monitor, a failure between two slots would go unseen without this. */
const MONITOR_BEYOND_DELAY_MS = 1_000;

/**
 * Rolls a changed spec out over the slots in use, and moves tasks off nodes that shall be empty, both at
 * the pace of the update settings. All that it remembers is in the tasks and in UpdateStatus, so that
 * another leader goes on where this one stopped.
 */
export function planUpdate(
  draft: Draft,
  slots: readonly SlotState[],
  rules: StageRules,
  placeOfSlot: (stage: Stage) => Place,
): void {
  const stages = slots.map((slot) => stageOf(draft, slot, rules));
  const state = draft.service.UpdateStatus?.State;
  const rollback = state === "rollback_started" || state === "rollback_paused" ||
    state === "rollback_completed";
  const config = updateConfigOf(draft.service.Spec, rollback);
  const order = state === "updating" ? draft.service.UpdateStatus?.Order : undefined;
  const pace = paceOf(order === undefined ? config : { ...config, Order: order });
  if (state === "paused" || state === "rollback_paused") {
    for (const stage of stages) withdraw(draft, stage);
    advance(draft, stages.filter((stage) => stage.misplaced), pace, placeOfSlot);
    return;
  }
  if (state === undefined && stages.some((stage) => isOpen(draft, stage))) {
    setStatus(draft, {
      State: "updating",
      StartedAt: timeText(draft.nowMs),
      Message: "update in progress",
    });
  }
  const active = isRollingOut(draft.service);
  if (active && config.FailureAction !== "continue") {
    const failed = failedTask(draft, stages, config);
    if (failed) return stopRollout(draft, config.FailureAction, failed);
  }
  advance(draft, stages, pace, placeOfSlot);
  if (active) maybeComplete(draft, stages, config);
}

/** Whether the slot still has to get rid of a task of an old spec. */
function isOpen(draft: Draft, stage: Stage): boolean {
  return stage.outdated && (stage.fresh.length > 0 || isAhead(draft, stage));
}

function paceOf(config: Config): Pace {
  return {
    parallelism: config.Parallelism === 0 ? Infinity : config.Parallelism,
    delayMs: config.Delay / NS_PER_MS,
    startFirst: config.Order === "start-first",
  };
}

function monitorMs(config: Config): number {
  const [monitor, delay] = [config.Monitor / NS_PER_MS, config.Delay / NS_PER_MS];
  return delay >= monitor ? delay + MONITOR_BEYOND_DELAY_MS : monitor;
}

/** A paused update leaves what serves alone: successors that still wait beside it are taken back. */
function withdraw(draft: Draft, { stale, fresh, misplaced }: Stage): void {
  if (misplaced || !stale.some(({ Status }) => Status.State === "running")) return;
  for (const task of fresh) if (task.DesiredState === "ready") draft.raise(task, "shutdown");
}

/** A task whose failure makes them too many, or undefined. */
function failedTask(draft: Draft, stages: readonly Stage[], config: Config): Task | undefined {
  const failures = stages.filter(({ attempt }) =>
    attempt !== undefined && isFailure(draft.service, attempt, monitorMs(config))
  );
  const concerned = stages.filter((stage) =>
    stage.attempt !== undefined || (stage.outdated && stage.fresh.length === 0)
  );
  if (failures.length === 0 || failures.length / concerned.length <= config.MaxFailureRatio) {
    return undefined;
  }
  return failures.map(({ attempt }) => attempt!).sort((a, b) =>
    stateSinceMs(b) - stateSinceMs(a)
  )[0];
}

/** Whether a task of the rollout ended before it ran, or soon after. */
export function isFailure(service: Service, task: Task, withinMs: number): boolean {
  const { State } = task.Status;
  const early = State === "complete" && restartPolicyOf(service.Spec).Condition === "any";
  if (State !== "failed" && State !== "rejected" && !early) return false;
  if (isEvicted(task)) return false;
  return task.RunningAt === undefined || stateSinceMs(task) - timeMs(task.RunningAt) < withinMs;
}

/** The slots' first tasks under the current spec that failed: the reaper keeps them while they count. */
export function countsAsFailure(service: Service, task: Task): boolean {
  return isRollingOut(service) && task.Replaces !== undefined && !task.RestartCount &&
    isOfVersion(service, task);
}

function stopRollout(draft: Draft, action: string, { ID }: Task): void {
  const { service } = draft;
  draft.startOver();
  const because = `due to failure or early termination of task ${ID}`;
  if (service.UpdateStatus?.State === "rollback_started") {
    setStatus(draft, {
      ...service.UpdateStatus,
      State: "rollback_paused",
      Message: `rollback paused ${because}`,
    });
  } else if (action === "rollback" && service.PreviousSpec) {
    rollBack(draft, service.PreviousSpec, `update rolled back ${because}`);
  } else {
    setStatus(draft, {
      ...service.UpdateStatus,
      State: "paused",
      Message: `update paused ${because}`,
    });
  }
}

/** An automatic rollback leaves nothing to roll back to. */
function rollBack(draft: Draft, spec: Service["Spec"], message: string): void {
  const { PreviousSpec: _, PreviousSpecVersion: previous, ...rest } = draft.service;
  draft.changeService({
    ...rest,
    Spec: spec,
    // A version of its own: the rollback's failures must not mix with older ones of that spec.
    SpecVersion: { Index: Math.max(rest.SpecVersion?.Index ?? 0, previous?.Index ?? 0) + 1 },
    Endpoint: {
      ...rest.Endpoint,
      ...withFreePorts(draft.situation.view, spec, draft.service),
    },
    UpdateStatus: {
      State: "rollback_started",
      StartedAt: timeText(draft.nowMs),
      Message: message,
    },
  });
}

function maybeComplete(draft: Draft, stages: readonly Stage[], config: Config): void {
  const open = stages.some((stage) =>
    isUnderWay(stage) || (stage.outdated && isAhead(draft, stage) && !attemptedAtMs(stage))
  );
  if (open) return;
  if (config.FailureAction !== "continue") {
    const until = Math.max(0, ...stages.map(attemptedAtMs)) + monitorMs(config);
    if (until > draft.nowMs) return draft.wakeAt(until);
  }
  const rollback = draft.service.UpdateStatus?.State === "rollback_started";
  setStatus(draft, {
    ...draft.service.UpdateStatus,
    State: rollback ? "rollback_completed" : "completed",
    CompletedAt: timeText(draft.nowMs),
    Message: rollback ? "rollback completed" : "update completed",
  });
}

/** An order of its own ends with the update. */
function setStatus(draft: Draft, { Order: _, ...status }: UpdateStatus): void {
  draft.changeService({ ...draft.service, UpdateStatus: status });
}
