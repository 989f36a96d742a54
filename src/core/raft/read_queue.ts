import { FleetError } from "../../base/errors.ts";
import type { RaftId } from "./types.ts";

/** Reads that may wait for their confirmation; more are refused. */
const MAX_PENDING_READS = 10_000;

export interface PendingRead {
  /** Who asked: this member or a follower. */
  readonly from: RaftId;
  readonly context: string;
}

interface ConfirmingRead extends PendingRead {
  readonly index: number;
  /** Served once a majority has answered this heartbeat round or a later one. */
  readonly round: number;
}

/**
 * The reads that a leader has not confirmed yet (dissertation §6.4), in order of arrival. One heartbeat
 * round confirms all reads that came before it.
 */
export class ReadQueue {
  /** Came before the leader committed in its term: it does not know the commit index yet. */
  #early: PendingRead[] = [];
  #confirming: ConfirmingRead[] = [];
  /** The last heartbeat round that was sent. */
  round = 0;

  get size(): number {
    return this.#early.length + this.#confirming.length;
  }

  /** Whether a read waits for a round that was not sent yet. */
  needsRound(): boolean {
    const last = this.#confirming[this.#confirming.length - 1];
    return last !== undefined && last.round > this.round;
  }

  /** `commit` is undefined while the leader has not committed in its term. @throws FleetError unavailable */
  add(read: PendingRead, commit: number | undefined): void {
    if (this.size >= MAX_PENDING_READS) {
      throw new FleetError(
        "unavailable",
        `${MAX_PENDING_READS} reads wait for the quorum already; try again later`,
      );
    }
    if (commit === undefined) this.#early.push(read);
    else this.#confirming.push({ ...read, index: commit, round: this.round + 1 });
  }

  /** The leader has committed in its term. */
  releaseEarly(commit: number): void {
    if (this.#early.length === 0) return;
    for (const read of this.#early) {
      this.#confirming.push({ ...read, index: commit, round: this.round + 1 });
    }
    this.#early = [];
  }

  /** Takes out the reads whose round `isConfirmed`, in order. */
  take(isConfirmed: (round: number) => boolean): readonly ConfirmingRead[] {
    let n = 0;
    let confirmed = -1;
    for (; n < this.#confirming.length; n++) {
      const { round } = this.#confirming[n]!;
      if (round === confirmed) continue;
      if (!isConfirmed(round)) break;
      confirmed = round;
    }
    return n === 0 ? [] : this.#confirming.splice(0, n);
  }

  /** The lead is lost: nobody answers these reads any more. */
  clear(): void {
    this.#early = [];
    this.#confirming = [];
    this.round = 0;
  }
}
