import type { ApiService, ApiTask } from "../api_types.ts";

/** One line of the display; `step` draws a bar of `steps` steps at the end of the line. */
export interface ProgressLine {
  readonly id: string;
  readonly text: string;
  readonly step?: number;
  readonly steps?: number;
}

/** What the cluster answered in one round. */
export interface Observation {
  readonly service: ApiService;
  /** The service's tasks that are made from its current spec. */
  readonly tasks: readonly ApiTask[];
  /** Ids of the nodes that are not down. */
  readonly activeNodes: ReadonlySet<string>;
}

/** How the wait ended. */
export type Outcome =
  | { readonly kind: "converged" }
  | { readonly kind: "rolled-back"; readonly message: string }
  | { readonly kind: "paused"; readonly message: string };

/** What is remembered between rounds. Never changed in place. */
export interface ProgressState {
  /** In the order in which they first appeared: the order on the screen. */
  readonly lines: readonly ProgressLine[];
  /** When all tasks were first seen to run; absent while they do not. */
  readonly convergedAt?: number;
  readonly rollback: boolean;
  /** Display numbers 1… of slots, in the order in which they were seen. */
  readonly slots: ReadonlyMap<number, number>;
  /** The message of a roll-back that ended before the tasks had settled. */
  readonly rolledBack?: string;
  readonly outcome?: Outcome;
}

export const INITIAL_PROGRESS: ProgressState = { lines: [], rollback: false, slots: new Map() };

/** More tasks than this get no bar of their own. */
export const MAX_BARS = 20;
/** `state` with `line` in the place of the one with its id, or at the end. */
export function withLine(state: ProgressState, line: ProgressLine): ProgressState {
  const at = state.lines.findIndex((other) => other.id === line.id);
  const lines = [...state.lines];
  if (at < 0) lines.push(line);
  else lines[at] = line;
  return { ...state, lines };
}
