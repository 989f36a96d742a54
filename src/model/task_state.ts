/** SwarmKit's task states with its numbers; a status may only move up. */
const ORDER = {
  new: 0,
  allocated: 32,
  pending: 64,
  assigned: 192,
  accepted: 256,
  preparing: 320,
  ready: 384,
  starting: 448,
  running: 512,
  complete: 576,
  shutdown: 640,
  failed: 704,
  rejected: 768,
  remove: 800,
  orphaned: 832,
} as const;

export type TaskState = keyof typeof ORDER;

export const TASK_STATES = Object.keys(ORDER) as TaskState[];

/** The state's place in the total order. */
export function stateOrder(state: TaskState): number {
  return ORDER[state];
}

/** Negative, zero or positive as `a` comes before, with or after `b`. */
export function compareStates(a: TaskState, b: TaskState): number {
  return ORDER[a] - ORDER[b];
}

/** Whether a task observed in `state` will never run again. */
export function isTerminal(state: TaskState): boolean {
  return ORDER[state] > ORDER.running;
}
