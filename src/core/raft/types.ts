/**
 * The values that go in and out of the raft core. Whoever persists, sends and applies (the manager
 * role, the simulator) codes against this file and `node.ts`.
 */
import type { Message } from "./message.ts";

export type { Message } from "./message.ts";

/** The node id of a manager. Wherever order matters, ids are compared as strings. */
export type RaftId = string;

/** `conf` entries carry an encoded {@link ConfChange} (see `conf_change.ts`). */
export type EntryType = "normal" | "conf";

/** One position of the replicated log. A normal entry without data is a leader's no-op. */
export interface Entry {
  /** Counts from 1. */
  readonly index: number;
  readonly term: number;
  readonly type: EntryType;
  /** Not copied anywhere: nobody may change the bytes afterwards. */
  readonly data: Uint8Array;
}

/** What a member must never forget (Figure 2, "persistent state") and the commit index it knew. */
export interface HardState {
  readonly term: number;
  readonly vote: RaftId | "";
  readonly commit: number;
}

/** The members at one index of the log. Both lists are sorted and share no id. */
export interface ConfState {
  readonly voters: readonly RaftId[];
  readonly learners: readonly RaftId[];
}

export interface SnapshotMeta {
  /** The last entry that the snapshot contains, and that entry's term. */
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
}

/** The state machine after `meta.index`; takes the place of all entries up to there. */
export interface Snapshot {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

/** A change of one member. Members join as learners and become voters once they have caught up. */
export type ConfChange =
  | { readonly type: "add-learner"; readonly id: RaftId; readonly context?: Uint8Array }
  /** Learner -> voter. */
  | { readonly type: "promote"; readonly id: RaftId; readonly context?: Uint8Array }
  /** Voter or learner leaves. */
  | { readonly type: "remove"; readonly id: RaftId; readonly context?: Uint8Array }
  /** Only in the first entries of a new cluster ({@link import("./conf_change.ts").bootstrap}). */
  | { readonly type: "add-voter"; readonly id: RaftId; readonly context?: Uint8Array };

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** What changes without being persisted. */
export interface SoftState {
  /** Empty while unknown. */
  readonly leader: RaftId | "";
  readonly role: Role;
}

/** A read may be served once the state machine has applied `index`. */
export interface ReadState {
  readonly context: string;
  readonly index: number;
}

/**
 * This member's log is shorter than what it once acknowledged: its disk was restored from an old image,
 * or lied about a sync. It neither votes, campaigns nor acknowledges from then on.
 */
export interface Regression {
  /** A committed entry that this member once reported to have persisted. */
  readonly expected: number;
  readonly lastIndex: number;
  /** Who remembered. */
  readonly from: RaftId;
}

/**
 * What the owner of the core has to do, in this order:
 *
 * 1. send `messagesEarly` (a leader's appends and heartbeats need not wait for its own disk);
 * 2. persist `snapshot`, then `entries` (which replace whatever is stored from the first one's index
 *    on), then `hardState`, all in one transaction, synced when `mustSync`; and bring the
 *    {@link RaftLogStorage} up to date;
 * 3. send `messages`;
 * 4. apply `snapshot`, then `committed` in order, passing each `conf` entry to `applyConfChange`;
 * 5. call `advance()`; answer `readStates` whose index is applied.
 *
 * `step`, `tick` and `propose` may be called between `ready()` and `advance()`; a second `ready()` may
 * not. When step 2 fails the process must not go on with this core: nobody knows what the disk holds.
 */
export interface Ready {
  /** Only when it changed. */
  readonly hardState?: HardState;
  /**
   * Whether step 2 needs to reach the disk; false when only the commit index moved, unless it moved over a
   * membership change: what is in force here must not be forgotten, since those who left are gone.
   */
  readonly mustSync: boolean;
  readonly entries: readonly Entry[];
  readonly snapshot?: Snapshot;
  /** May include entries of this very Ready. Never entries that the snapshot covers. */
  readonly committed: readonly Entry[];
  readonly messagesEarly: readonly Message[];
  readonly messages: readonly Message[];
  readonly readStates: readonly ReadState[];
  /** Only when it changed. */
  readonly softState?: SoftState;
  /** Set once, in the first Ready after the discovery; the node must be taken out of service. */
  readonly regressed?: Regression;
}

/**
 * The persisted log as the core reads it, synchronously; see `memory_storage.ts` for the twin that an
 * adapter can keep in front of its disk.
 */
export interface RaftLogStorage {
  /** `conf` is the membership at {@link RaftConfig.applied} (the snapshot's, when starting from one). */
  initialState(): { readonly hardState: HardState; readonly conf: ConfState };
  /** The first index that `entries` can return: 1, or the one after the compacted prefix. */
  firstIndex(): number;
  /** The last persisted index; `firstIndex() - 1` when there are no entries. */
  lastIndex(): number;
  /** Undefined outside `firstIndex() - 1 .. lastIndex()`. */
  term(index: number): number | undefined;
  /**
   * Entries `lo` to `hi - 1`, cut so that their sizes sum up to at most `maxBytes`, but at least one.
   * The caller stays within `firstIndex() .. lastIndex() + 1`.
   */
  entries(lo: number, hi: number, maxBytes: number): readonly Entry[];
  /** The newest snapshot; undefined when none can be had right now (it is asked for again). */
  snapshot(): Snapshot | undefined;
}
