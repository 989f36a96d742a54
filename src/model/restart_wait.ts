import { timeMs, timeText } from "./meta.ts";
import { isTerminal } from "./task_state.ts";
import type { Task } from "./task.ts";

/** How the sentence of {@link restartWait} begins. */
export const RESTART_WAIT = "restarts at ";

/**
 * What a task that is prepared and waits for its time says of it, undefined for any other. Made from the
 * task when somebody looks, so that waiting costs no entry of the log.
 */
export function restartWait(task: Task): string | undefined {
  const { NotBefore, RestartCount = 0, DesiredState, Status } = task;
  if (NotBefore === undefined || RestartCount === 0) return undefined;
  if (DesiredState !== "ready" || isTerminal(Status.State)) return undefined;
  const time = timeText(timeMs(NotBefore)).slice(
    "YYYY-MM-DDT".length,
    "YYYY-MM-DDTHH:MM:SS".length,
  );
  const why = RestartCount > 1
    ? `failed ${RestartCount} times in a row`
    : "the one before it ended";
  return `${RESTART_WAIT}${time} UTC: ${why}`;
}
