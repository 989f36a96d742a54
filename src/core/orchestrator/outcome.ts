import type { Change, View } from "../../model/view.ts";

/** What a decision wants changed, and when it wants to look again without being asked. */
export interface Outcome {
  readonly changes: readonly Change[];
  /** Milliseconds since 1970. */
  readonly wakeAtMs?: number;
}

/** What every decision here gets. */
export interface Situation {
  readonly view: View;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  newId(): string;
}

/** An outcome from changes and the earliest time to look again; `Infinity` is never. */
export function outcomeOf(changes: readonly Change[], wakeAtMs = Infinity): Outcome {
  return wakeAtMs === Infinity ? { changes } : { changes, wakeAtMs };
}
