import type { ConfState, RaftId, Regression, Role } from "./types.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

/** How far one member is, as the leader sees it. */
export interface PeerStatus {
  readonly id: RaftId;
  readonly learner: boolean;
  readonly match: number;
  readonly next: number;
  readonly state: ProgressState;
  /** Heard from within the last election timeout. */
  readonly recentActive: boolean;
  /** Ticks since the last message from it. */
  readonly silentTicks: number;
  readonly inflight: number;
  /** 0 unless a snapshot is under way. */
  readonly pendingSnapshot: number;
  /** It reported that it lost acknowledged entries. */
  readonly regressed: boolean;
}

export interface RaftStatus {
  readonly id: RaftId;
  readonly term: number;
  readonly vote: RaftId | "";
  readonly leader: RaftId | "";
  readonly role: Role;
  readonly commit: number;
  readonly applied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly conf: ConfState;
  /** Every member including itself, sorted by id; empty unless this member leads. */
  readonly peers: readonly PeerStatus[];
  /** The member that shall take the lead, or empty. */
  readonly transferee: RaftId | "";
  readonly uncommittedBytes: number;
  readonly pendingReads: number;
  readonly regressed: Regression | undefined;
  /** Committed indexes that members are known to have persisted; worth keeping across restarts. */
  readonly remembered: readonly (readonly [id: RaftId, index: number])[];
}
