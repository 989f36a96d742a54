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

/** Collects changes and the earliest time to look again. */
export class Plan {
  readonly changes: Change[] = [];
  #wakeAtMs = Infinity;

  wakeAt(ms: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, ms);
  }

  outcome(): Outcome {
    return this.#wakeAtMs === Infinity
      ? { changes: this.changes }
      : { changes: this.changes, wakeAtMs: this.#wakeAtMs };
  }
}
