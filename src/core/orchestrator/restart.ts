import { NS_PER_MS } from "../../base/duration.ts";
import { restartPolicyOf } from "../../model/defaults.ts";
import { timeMs, timeText } from "../../model/meta.ts";
import type { Service } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";

/** Restarts of a crash loop grow from the policy's delay by this factor, up to the limit. */
const BACKOFF_FACTOR = 2;
const BACKOFF_LIMIT_MS = 5 * 60_000;
/** The first restarts come at the policy's own pace: most failures are no loop. */
const BACKOFF_FREE_RESTARTS = 3;
/** A task that ran this long ends a crash loop. */
const BACKOFF_RESET_MS = 60_000;
/** A replacement does not wait longer than this for the task it replaces to stop. */
export const OLD_TASK_TIMEOUT_MS = 60_000;

/** When a task reached its last state, by the manager's clock where known. */
export function stateSinceMs(task: Task): number {
  return timeMs(task.Status.AppliedAt ?? task.Status.Timestamp);
}

/** Whether a task that ended shall have a successor, by the service's restart policy. */
export function shouldRestart(service: Service, task: Task, slotTasks: readonly Task[]): boolean {
  const policy = restartPolicyOf(service.Spec);
  if (policy.Condition === "none") return false;
  if (policy.Condition === "on-failure" && task.Status.State === "complete") return false;
  if (policy.MaxAttempts === 0) return true;
  const since = policy.Window > 0 ? stateSinceMs(task) - policy.Window / NS_PER_MS : -Infinity;
  const restarts = slotTasks.filter((other) =>
    (other.RestartCount ?? 0) > 0 && other.SpecVersion?.Index === service.SpecVersion?.Index &&
    timeMs(other.CreatedAt) >= since
  );
  return restarts.length < policy.MaxAttempts;
}

/** The fields of a successor that make it wait: when it may start and after whom. */
export function successorOf(
  service: Service,
  task: Task,
  options: { readonly nowMs: number; readonly immediate: boolean },
): Pick<Task, "DesiredState" | "NotBefore" | "Replaces" | "RestartCount"> {
  const ranMs = task.Status.State === "complete" || task.Status.State === "failed"
    ? stateSinceMs(task) - timeMs(task.CreatedAt)
    : 0;
  const count = ranMs >= BACKOFF_RESET_MS ? 1 : (task.RestartCount ?? 0) + 1;
  const delayMs = options.immediate ? 0 : restartDelayMs(service, count);
  return {
    DesiredState: "ready",
    NotBefore: timeText(options.nowMs + delayMs),
    Replaces: task.ID,
    RestartCount: options.immediate ? task.RestartCount ?? 0 : count,
  };
}

/** Delay before the n-th restart in a row, milliseconds. `Backoff: false` in the spec keeps it constant. */
export function restartDelayMs(service: Service, count: number): number {
  const base = restartPolicyOf(service.Spec).Delay / NS_PER_MS;
  const grown = count - BACKOFF_FREE_RESTARTS;
  if (service.Spec.Backoff === false || grown <= 0 || base === 0) return base;
  return Math.max(base, Math.min(base * BACKOFF_FACTOR ** grown, BACKOFF_LIMIT_MS));
}

/**
 * When a waiting successor may start: undefined while the task it replaces still stops, else a time.
 * A predecessor on a lost node does not hold it up.
 */
export function mayStartAtMs(
  task: Task,
  predecessor: Task | undefined,
  predecessorLost: boolean,
): number | undefined {
  const notBefore = timeMs(task.NotBefore);
  if (!predecessor || predecessorLost || isTerminal(predecessor.Status.State)) return notBefore;
  if (compareStates(predecessor.DesiredState, "running") <= 0) return notBefore;
  return Math.max(notBefore, timeMs(task.CreatedAt) + OLD_TASK_TIMEOUT_MS);
}
