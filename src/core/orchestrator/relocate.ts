import { timeMs, timeText } from "../../model/meta.ts";
import { relocatesUntilMs } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import type { Change, View } from "../../model/view.ts";
import type { Draft } from "./draft.ts";
import { isLive } from "./slots.ts";

/** Moves per minute when nobody says otherwise: each one stops a healthy task. */
export const DEFAULT_MOVES_PER_MINUTE = 10;
const MINUTE_MS = 60_000;

/** What the caller asked to be moved, as `planRebalance` of the scheduler says it. */
export interface Relocation {
  readonly taskId: string;
  readonly to?: string;
}

/**
 * Marks tasks for moving, no more than the budget of this minute allows; marks of the last minute count.
 * The orchestrator then starts each one's successor before it stops it. `remaining` has to be asked for
 * again at `wakeAtMs`, best with a fresh plan. Passed over is what is gone or moves already, and what waits
 * for its turn: a move starts first, and would start beside the very task that is waited for.
 */
export function relocate(
  view: View,
  moves: readonly Relocation[],
  options: { readonly nowMs: number; readonly movesPerMinute?: number },
): { changes: Change[]; remaining: Relocation[]; wakeAtMs?: number } {
  const { nowMs, movesPerMinute = DEFAULT_MOVES_PER_MINUTE } = options;
  const recent = marksWithin(view, nowMs - MINUTE_MS);
  const room = Math.max(0, movesPerMinute - recent.length);
  const open = moves.filter(({ taskId }) => {
    const task = view.get("task", taskId);
    return task !== undefined && isLive(task) && task.DesiredState !== "ready" &&
      !relocatesUntilMs(task, nowMs);
  });
  const changes = open.slice(0, room).map(({ taskId, to }): Change => ({
    op: "update",
    table: "task",
    object: {
      ...view.get("task", taskId)!,
      Relocate: { At: timeText(nowMs), ...(to === undefined ? {} : { To: to }) },
    },
  }));
  const remaining = open.slice(room);
  if (remaining.length === 0) return { changes, remaining };
  const first = Math.min(nowMs, ...recent);
  return { changes, remaining, wakeAtMs: first + MINUTE_MS };
}

function marksWithin(view: View, sinceMs: number): number[] {
  const times: number[] = [];
  for (const task of view.all("task")) {
    if (task.Relocate && timeMs(task.Relocate.At) > sinceMs) times.push(timeMs(task.Relocate.At));
  }
  return times;
}

/** Whether a task shall leave its node for the sake of an even spread. */
export function isRelocating(draft: Draft, task: Task): boolean {
  const untilMs = relocatesUntilMs(task, draft.nowMs);
  if (untilMs > 0) draft.wakeAt(untilMs);
  return untilMs > 0;
}
