import type { ApiTask } from "../api_types.ts";
import { MAX_BARS, withLine } from "./progress_state.ts";
import type { Observation, ProgressLine, ProgressState } from "./progress_state.ts";
import { shortId } from "./text.ts";

/** The steps of a task's bar; states that are not here do not count. */
const STEPS: Readonly<Record<string, number>> = {
  new: 1,
  allocated: 2,
  pending: 3,
  assigned: 4,
  accepted: 5,
  preparing: 6,
  ready: 7,
  starting: 8,
  running: 9,
  complete: 10,
  shutdown: 11,
  failed: 12,
  rejected: 13,
};
/** A bar is full when its task runs. */
export const BAR_STEPS = 9;
/** States are padded to the longest one, so that bars stand below one another. */
const STATE_WIDTH = "preparing".length;
/** Longer errors of tasks are cut. */
const MAX_ERROR = 75;

/** One round of a replicated or global service. */
export function serviceProgress(
  before: ProgressState,
  seen: Observation,
): { state: ProgressState; converged: boolean } {
  const global = seen.service.Spec.Mode?.Global !== undefined;
  const tasks = global ? tasksByNode(seen) : tasksBySlot(seen);
  const wanted = global ? tasks.size : seen.service.Spec.Mode?.Replicated?.Replicas ?? 1;
  if (global && wanted === 0) {
    const waiting = { id: "overall progress", text: "waiting for new tasks" };
    return { state: withLine(before, waiting), converged: false };
  }
  const { state: numbered, ids } = global
    ? { state: before, ids: new Map([...tasks.keys()].map((id) => [id, shortId(String(id))])) }
    : slotNumbers(before, [...tasks.keys()] as number[], wanted);
  const running = [...tasks.values()].filter(isRunning).length;
  const converged = running === wanted;
  let state = withLine(numbered, overallLine(running, wanted, before.rollback));
  if (wanted <= MAX_BARS) {
    state = withEmptyBars(state, global ? [...ids.values()] : allIds(wanted));
    for (const [key, task] of tasks) {
      const id = ids.get(key);
      const line = id === undefined ? undefined : taskLine(id, task, before.rollback);
      if (line) state = withLine(state, line);
    }
  }
  return { state, converged };
}

/** Whether the observed or desired state is past running. */
export function isPastRunning(state: string | undefined): boolean {
  return (STEPS[state ?? ""] ?? 0) > BAR_STEPS;
}

/**
 * The one task of each slot that matters: the lowest desired state wins, then the lowest observed one.
 * Tasks on nodes that are down do not count.
 */
export function tasksBySlot(seen: Observation): Map<number, ApiTask> {
  return pickTasks(seen, (task) => task.Slot ?? 0);
}

export function tasksByNode(seen: Observation): Map<string, ApiTask> {
  return pickTasks(seen, (task) => task.NodeID || undefined);
}

function pickTasks<K>(seen: Observation, keyOf: (task: ApiTask) => K | undefined): Map<K, ApiTask> {
  const picked = new Map<K, ApiTask>();
  for (const task of seen.tasks) {
    const rank = rankOf(task);
    const key = keyOf(task);
    if (rank === undefined || key === undefined) continue;
    if (task.NodeID && !seen.activeNodes.has(task.NodeID)) continue;
    const other = picked.get(key);
    if (other === undefined || rank < (rankOf(other) ?? Infinity)) picked.set(key, task);
  }
  return picked;
}

function rankOf(task: ApiTask): number | undefined {
  const desired = STEPS[task.DesiredState];
  const observed = STEPS[task.Status.State];
  return desired === undefined || observed === undefined ? undefined : desired * 100 + observed;
}

function isRunning(task: ApiTask): boolean {
  return !isPastRunning(task.DesiredState) && task.Status.State === "running";
}

/** Numbers for slots never seen before; slots beyond the wanted number get no line. */
export function slotNumbers(
  state: ProgressState,
  slots: readonly number[],
  wanted: number,
): { state: ProgressState; ids: Map<number, string> } {
  const numbers = new Map(state.slots);
  for (const slot of [...slots].sort((a, b) => a - b)) {
    if (!numbers.has(slot)) numbers.set(slot, numbers.size + 1);
  }
  const ids = new Map<number, string>();
  for (const slot of slots) {
    const number = numbers.get(slot) ?? 0;
    if (number <= wanted) ids.set(slot, `${number}/${wanted}`);
  }
  return { state: { ...state, slots: numbers }, ids };
}

function allIds(wanted: number): string[] {
  return Array.from({ length: wanted }, (_, index) => `${index + 1}/${wanted}`);
}

function withEmptyBars(state: ProgressState, ids: readonly string[]): ProgressState {
  let next = state;
  for (const id of ids) {
    if (!next.lines.some((line) => line.id === id)) next = withLine(next, { id, text: "" });
  }
  return next;
}

function overallLine(running: number, wanted: number, rollback: boolean): ProgressLine {
  const text = `${running} out of ${wanted} tasks`;
  return { id: "overall progress", text: rollback ? `rolling back update: ${text}` : text };
}

/** A task's bar, or its error; undefined where the line shall stay as it was. */
export function taskLine(
  id: string,
  task: ApiTask,
  rollback: boolean,
  steps = BAR_STEPS,
): ProgressLine | undefined {
  if (task.Status.Err) return { id, text: errorText(task.Status.Err) };
  const step = STEPS[task.Status.State] ?? 0;
  if (isPastRunning(task.DesiredState) && steps === BAR_STEPS) return undefined;
  if (step > steps) return undefined;
  return {
    id,
    text: task.Status.State.padEnd(STATE_WIDTH),
    step: rollback ? steps - step : step,
    steps,
  };
}

function errorText(error: string): string {
  const line = error.replaceAll("\n", " ");
  return line.length > MAX_ERROR ? `${line.slice(0, MAX_ERROR - 1)}…` : line;
}
