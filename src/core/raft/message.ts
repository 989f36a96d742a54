import type { Entry, RaftId, Snapshot } from "./types.ts";

interface Envelope {
  readonly from: RaftId;
  readonly to: RaftId;
  /** The sender's term; the term asked for in a pre-vote and in the reply that grants it. */
  readonly term: number;
}

/**
 * `RequestVote` (§5.2). Before a real one, a `pre-vote` asks whether an election could be won, without
 * anybody changing their term (dissertation §9.6).
 */
export interface VoteRequest extends Envelope {
  readonly type: "pre-vote" | "vote";
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** Asked on behalf of the leader (transfer): overrides the receiver's loyalty to it. */
  readonly force: boolean;
  /** See {@link Heartbeat.expect}. */
  readonly expect: number;
}

export interface VoteReply extends Envelope {
  readonly type: "pre-vote-reply" | "vote-reply";
  readonly reject: boolean;
  /** See {@link Heartbeat.expect}. */
  readonly expect: number;
  /**
   * The sender's commit index and the term of that entry. A candidate that has this entry learns that it is
   * committed: otherwise one that does not know that it is the only member left could wait forever for the
   * vote of a removed member whose log is longer.
   */
  readonly commit: number;
  readonly commitTerm: number;
}

/** `AppendEntries` (§5.3). */
export interface Append extends Envelope {
  readonly type: "append";
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
  /** See {@link Heartbeat.expect}. */
  readonly expect: number;
}

export interface AppendReply extends Envelope {
  readonly type: "append-reply";
  readonly reject: boolean;
  /** Accepted: the sender's log equals the leader's up to here. Rejected: the append's `prevIndex`. */
  readonly index: number;
  /** Rejected: the largest position where the logs can agree, and the term of the entry there. */
  readonly hintIndex: number;
  readonly hintTerm: number;
  /** See {@link HeartbeatReply.commit}. */
  readonly commit: number;
}

/** Says that the leader is alive; never carries entries. */
export interface Heartbeat extends Envelope {
  readonly type: "heartbeat";
  /** Never beyond what the receiver acknowledged in this term. */
  readonly commit: number;
  /** Counts the leader's heartbeats; the reply returns it and so confirms pending reads (§6.4). */
  readonly round: number;
  /**
   * A committed index that the receiver is known to have persisted at some time (0: nothing known).
   * A receiver with a shorter log has lost data that it acknowledged.
   */
  readonly expect: number;
  /** The same for all members, so that everybody remembers when the leader is gone. */
  readonly known: readonly (readonly [id: RaftId, index: number])[];
}

export interface HeartbeatReply extends Envelope {
  readonly type: "heartbeat-reply";
  readonly round: number;
  /** The sender's commit index. If it covers a membership change, the sender has persisted that. */
  readonly commit: number;
  /** The sender found out that it lost data: see `Regression`. */
  readonly regressed: boolean;
}

/** `InstallSnapshot` (§7), whole: cutting it into chunks is the transport's work. */
export interface InstallSnapshot extends Envelope {
  readonly type: "snapshot";
  readonly snapshot: Snapshot;
}

/** Asks the receiver to campaign at once (dissertation §3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: "timeout-now";
}

/** A follower passes on a request to move the lead to `transferee`. */
export interface Transfer extends Envelope {
  readonly type: "transfer";
  readonly transferee: RaftId;
}

/** A follower asks for an index at which a read is linearizable (dissertation §6.4). */
export interface ReadIndexRequest extends Envelope {
  readonly type: "read-index";
  readonly context: string;
}

export interface ReadIndexReply extends Envelope {
  readonly type: "read-index-reply";
  readonly context: string;
  readonly index: number;
}

/** Everything that members say to one another. */
export type Message =
  | VoteRequest
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | InstallSnapshot
  | TimeoutNow
  | Transfer
  | ReadIndexRequest
  | ReadIndexReply;

export type MessageType = Message["type"];
