import { NS_PER_MS } from "../../base/duration.ts";
import { DEFAULT_STOP_GRACE_NS, restartPolicyOf } from "../../model/defaults.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import type { Service } from "../../model/service.ts";
import type { Task } from "../../model/task.ts";

/** A crash loop's delay grows by this factor with each restart, up to the limit. */
const BACKOFF_FACTOR = 2;
const BACKOFF_LIMIT_MS = 5 * 60_000;
/** The first restarts come at the policy's own pace: most failures are no loop. */
const BACKOFF_FREE_RESTARTS = 5;
/** What a loop starts to grow from when the policy has no delay. */
const BACKOFF_BASE_MS = 1_000;
/** Attempts within a window that are told apart: a policy that allows more allows this many. */
const MAX_ATTEMPT_TIMES = 200;
/** A task that ran this long was no part of a crash loop; the engine's own restarts draw the line there too. */
const BACKOFF_RESET_MS = 10_000;
/** A replacement waits this long for its predecessor to stop, beyond the time that one has to do so. */
const OLD_TASK_TIMEOUT_MS = 60_000;

/** When a task reached its last state, by the leader's clock where known. Milliseconds since 1970. */
export function stateSinceMs(task: Task): number {
  return timeMs(task.Status.AppliedAt ?? task.Status.Timestamp);
}

/**
 * Whether a task that ended by itself shall have a successor, by the service's restart policy. All that
 * counts is on the task: the history limit may have taken the earlier ones.
 */
export function mayRestart(service: Service, task: Task): boolean {
  const policy = restartPolicyOf(service.Spec);
  if (policy.Condition === "none") return false;
  if (policy.Condition === "on-failure" && task.Status.State === "complete") return false;
  if (policy.MaxAttempts === 0 || !isOfVersion(service, task)) return true;
  if (policy.Window === 0) return (task.Attempts ?? 0) < policy.MaxAttempts;
  const since = stateSinceMs(task) - policy.Window / NS_PER_MS;
  return attemptTimes(task, since).length < Math.min(policy.MaxAttempts, MAX_ATTEMPT_TIMES);
}

function attemptTimes(task: Task, sinceMs: number): readonly string[] {
  return (task.AttemptTimes ?? []).filter((time) => timeMs(time) >= sinceMs);
}

/** Whether a task that lost its node shall run elsewhere: only "none" means at most once. */
export function mayMove(service: Service): boolean {
  return restartPolicyOf(service.Spec).Condition !== "none";
}

export function isOfVersion(service: Service, task: Task): boolean {
  return (task.SpecVersion?.Index ?? 0) === (service.SpecVersion?.Index ?? 0);
}

/** The fields by which a restarted task knows its past, and the time it may start. */
export function restartFields(service: Service, task: Task, nowMs: number): Partial<Task> {
  const inARow = ranLong(task) ? 1 : (task.RestartCount ?? 0) + 1;
  const { MaxAttempts, Window } = restartPolicyOf(service.Spec);
  const counted = MaxAttempts > 0 && Window > 0;
  const times = isOfVersion(service, task) ? attemptTimes(task, nowMs - Window / NS_PER_MS) : [];
  return {
    Replaces: task.ID,
    RestartCount: inARow,
    Attempts: (isOfVersion(service, task) ? task.Attempts ?? 0 : 0) + 1,
    ...(counted ? { AttemptTimes: [...times, timeText(nowMs)].slice(-MAX_ATTEMPT_TIMES) } : {}),
    NotBefore: timeText(nowMs + restartDelayMs(service, inARow)),
  };
}

/** The same for a task that goes elsewhere through no fault of its own. */
export function moveFields(service: Service, task: Task): Partial<Task> {
  return {
    Replaces: task.ID,
    ...(task.RestartCount === undefined ? {} : { RestartCount: task.RestartCount }),
    ...(task.Attempts === undefined || !isOfVersion(service, task) ? {} : {
      Attempts: task.Attempts,
      ...(task.AttemptTimes === undefined ? {} : { AttemptTimes: task.AttemptTimes }),
    }),
  };
}

function ranLong(task: Task): boolean {
  return task.RunningAt !== undefined &&
    stateSinceMs(task) - timeMs(task.RunningAt) >= BACKOFF_RESET_MS;
}

/** Delay before the n-th restart in a row, milliseconds. `Backoff: false` in the spec keeps it constant. */
export function restartDelayMs(service: Service, inARow: number): number {
  const base = restartPolicyOf(service.Spec).Delay / NS_PER_MS;
  const grown = inARow - BACKOFF_FREE_RESTARTS;
  if (service.Spec.Backoff === false || grown <= 0) return base;
  const delay = Math.max(base, BACKOFF_BASE_MS) * BACKOFF_FACTOR ** grown;
  return Math.max(base, Math.min(delay, BACKOFF_LIMIT_MS));
}

/** When a task told to stop is not waited for any longer. Milliseconds since 1970. */
export function stopDeadlineMs(task: Task): number {
  const graceNs = task.Spec.ContainerSpec?.StopGracePeriod ?? DEFAULT_STOP_GRACE_NS;
  return timeMs(task.UpdatedAt) + graceNs / NS_PER_MS + OLD_TASK_TIMEOUT_MS;
}
