import { Inflights } from "./inflights.ts";
import type { PeerStatus, ProgressState } from "./status.ts";
import type { RaftId } from "./types.ts";

/**
 * What a leader knows of one member, itself included.
 *
 * - `probe`: where the logs agree is a guess; one append at a time.
 * - `replicate`: appends are pipelined, `next` runs ahead of `match` by what is under way.
 * - `snapshot`: the entries it needs are compacted; nothing else is sent until the snapshot is through.
 *
 * Invariant: `match < next`.
 */
export class Progress {
  readonly id: RaftId;
  readonly inflights: Inflights;
  learner: boolean;
  state: ProgressState = "probe";
  /** Known to be equal to the leader's log, and persisted, up to here. */
  match = 0;
  next: number;
  pendingSnapshot = 0;
  /** Ticks since the snapshot was handed over. */
  snapshotTicks = 0;
  /** In `probe`: the one append was sent; wait for its reply or for the next heartbeat's. */
  probeSent = false;
  /** Send an append even when there is nothing new: its reply shows whether something got lost. */
  forced = false;
  /** The index of the entry that added it, if that was in this leader's term. */
  joined = 0;
  /** The commit index that it has reported. */
  commit = 0;
  /** The commit index that the last append carried. */
  sentCommit = 0;
  /** Heard from since the last check of the quorum. */
  recentActive = false;
  /** Ticks since the last message from it, or since it became a member; an election timeout until then under a new leader. */
  silentTicks = 0;
  /** The last heartbeat round that it answered. */
  ackedRound = 0;
  regressed = false;

  constructor(
    id: RaftId,
    learner: boolean,
    next: number,
    window: { readonly messages: number; readonly bytes: number },
  ) {
    this.id = id;
    this.learner = learner;
    this.next = next;
    this.inflights = new Inflights(window.messages, window.bytes);
  }

  paused(): boolean {
    if (this.state === "probe") return this.probeSent;
    return this.state === "snapshot" || this.inflights.full();
  }

  becomeProbe(): void {
    this.next = this.state === "snapshot"
      ? Math.max(this.match, this.pendingSnapshot) + 1
      : this.match + 1;
    this.#enter("probe");
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.probeSent = false;
    this.pendingSnapshot = 0;
    this.snapshotTicks = 0;
    this.inflights.reset();
  }

  /** An append with `count` entries from `next` on was sent. */
  sent(count: number, bytes: number): void {
    if (this.state === "probe") {
      this.probeSent = true;
    } else if (count > 0) {
      this.next += count;
      this.inflights.add(this.next - 1, bytes);
    }
  }

  /** The member has everything up to `index`. `false` when that is no news. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.probeSent = false;
    return true;
  }

  /**
   * The member refused an append that began after `rejected`; the logs can agree at `hint` at best.
   * `false` when the refusal is out of date.
   */
  reject(rejected: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.probeSent = false;
    return true;
  }

  /**
   * Whether it was heard from within an election timeout. Unlike `recentActive` this does not become
   * false for the moment between a check of the quorum and the next heartbeat's reply.
   */
  isHeard(electionTicks: number): boolean {
    return this.silentTicks < electionTicks;
  }

  status(electionTicks: number): PeerStatus {
    return {
      id: this.id,
      learner: this.learner,
      match: this.match,
      next: this.next,
      state: this.state,
      recentActive: this.isHeard(electionTicks),
      silentTicks: this.silentTicks,
      inflight: this.inflights.count,
      pendingSnapshot: this.pendingSnapshot,
      regressed: this.regressed,
    };
  }
}
