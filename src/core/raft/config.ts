import type { Random } from "../../base/random.ts";
import { assert } from "../../base/assert.ts";
import { PAPER_RULES } from "./rules.ts";
import type { Rules } from "./rules.ts";
import type { RaftId } from "./types.ts";

/** Ticks without a word from the leader until a follower campaigns: this many to twice this many. */
export const DEFAULT_ELECTION_TICKS = 10;
export const DEFAULT_HEARTBEAT_TICKS = 1;
/** Entries of one append; a larger entry travels alone. */
export const DEFAULT_MAX_MESSAGE_BYTES = 256 * 1024;
/** Appends under way to one follower. */
export const DEFAULT_MAX_INFLIGHT_MESSAGES = 256;
export const DEFAULT_MAX_INFLIGHT_BYTES = 16 * 1024 * 1024;
/** Proposals not yet committed; beyond this the leader refuses more. */
export const DEFAULT_MAX_UNCOMMITTED_BYTES = 64 * 1024 * 1024;
/** Entries of one `Ready.committed`. */
export const DEFAULT_MAX_COMMITTED_BYTES = 16 * 1024 * 1024;

export interface RaftConfig {
  readonly id: RaftId;
  readonly random: Random;
  readonly electionTicks?: number;
  readonly heartbeatTicks?: number;
  /** The state machine holds everything up to here already (the index of its snapshot). Default 0. */
  readonly applied?: number;
  readonly maxMessageBytes?: number;
  readonly maxInflightMessages?: number;
  readonly maxInflightBytes?: number;
  readonly maxUncommittedBytes?: number;
  readonly maxCommittedBytes?: number;
  /**
   * The index of the entry that added this member. A node that was a member before under the same id must
   * give it: what others remember of its earlier life is below and does not count, and it does not vote
   * or lead before its log reaches this index: it may have voted, and may have been the only voter, in
   * its earlier life. Default 0.
   */
  readonly joinedIndex?: number;
  /** `RaftStatus.remembered` of an earlier run, if the owner kept it. */
  readonly remembered?: readonly (readonly [id: RaftId, index: number])[];
  /** Replaced by tests that prove that the simulator sees a broken rule. */
  readonly rules?: Rules;
}

/** {@link RaftConfig} with the defaults filled in. */
export type FullConfig = Required<RaftConfig>;

export function fullConfig(config: RaftConfig): FullConfig {
  return checked({
    electionTicks: DEFAULT_ELECTION_TICKS,
    heartbeatTicks: DEFAULT_HEARTBEAT_TICKS,
    applied: 0,
    maxMessageBytes: DEFAULT_MAX_MESSAGE_BYTES,
    maxInflightMessages: DEFAULT_MAX_INFLIGHT_MESSAGES,
    maxInflightBytes: DEFAULT_MAX_INFLIGHT_BYTES,
    maxUncommittedBytes: DEFAULT_MAX_UNCOMMITTED_BYTES,
    maxCommittedBytes: DEFAULT_MAX_COMMITTED_BYTES,
    joinedIndex: 0,
    remembered: [],
    rules: PAPER_RULES,
    ...config,
  });
}

/** Asserts what the code takes for granted. */
export function checked(full: FullConfig): FullConfig {
  assert(full.id !== "", "a raft member needs an id");
  assert(full.heartbeatTicks >= 1, "heartbeats need at least one tick");
  assert(full.electionTicks > full.heartbeatTicks, "elections must wait longer than heartbeats");
  assert(full.maxInflightMessages >= 1, "at least one append must be allowed under way");
  return full;
}
