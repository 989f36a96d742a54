import { assert } from "../../base/assert.ts";
import { FleetError } from "../../base/errors.ts";
import type { RaftConfig } from "./config.ts";
import * as election from "./election.ts";
import * as following from "./following.ts";
import * as membership from "./membership.ts";
import type { Message } from "./message.ts";
import * as reads from "./reads.ts";
import * as replication from "./replication.ts";
import { entryBytes } from "./size.ts";
import { RaftState } from "./state.ts";
import type { RaftStatus } from "./status.ts";
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  RaftId,
  RaftLogStorage,
  Ready,
  Role,
  SoftState,
} from "./types.ts";

/** Where a proposal went. It is committed if the entry applied at `index` has this `term`, and lost otherwise. */
export interface Proposal {
  readonly index: number;
  readonly term: number;
}

/**
 * One member of a raft group as a state machine: messages, ticks and proposals go in, {@link Ready}
 * values come out. It has no clock, no I/O and no hidden randomness; the same inputs give the same outputs.
 */
export class RaftNode {
  readonly #s: RaftState;
  /** What the last Ready reported. */
  #hardState: HardState;
  #softState: SoftState;
  #regressedReported = false;
  /** The Ready that is being worked on. */
  #outstanding: { readonly term: number; readonly conf: Entry[] } | undefined;

  constructor(config: RaftConfig, storage: RaftLogStorage) {
    this.#s = new RaftState(config, storage);
    this.#hardState = this.#s.hardState();
    this.#softState = { leader: "", role: "follower" };
  }

  get id(): RaftId {
    return this.#s.id;
  }

  get term(): number {
    return this.#s.term;
  }

  get role(): Role {
    return this.#s.role;
  }

  /** Empty while unknown. */
  get leader(): RaftId | "" {
    return this.#s.leader;
  }

  /** Time passes: call once per tick. */
  tick(): void {
    const s = this.#s;
    if (s.role === "leader") replication.tickLeader(s);
    else election.tickElection(s);
  }

  /** Takes a message from another member. Strangers' and outdated messages are dropped. */
  step(m: Message): void {
    const s = this.#s;
    if (m.to !== s.id || m.from === s.id) return;
    if (following.checkRegression(s, m)) return;
    if (m.type === "pre-vote-reply" || m.type === "vote-reply") election.learnCommit(s, m);
    if (m.term < s.term) return this.#stepStale(m);
    if (m.term > s.term && !this.#adoptTerm(m)) return;
    this.#dispatch(m);
  }

  /** A message of a later term usually brings that term along (§5.1). `false`: ignore it. */
  #adoptTerm(m: Message): boolean {
    const s = this.#s;
    switch (m.type) {
      case "pre-vote":
        return !election.isDisruptive(s, m);
      case "vote":
        if (election.isDisruptive(s, m)) return false;
        break;
      case "pre-vote-reply":
        // Granted for an election that has not begun; a refusal carries the term of now.
        if (!m.reject) return true;
        break;
      case "append":
      case "heartbeat":
      case "snapshot":
        s.becomeFollower(m.term, m.from);
        return true;
      default:
    }
    s.becomeFollower(m.term, "");
    return true;
  }

  /** The sender lives in the past. */
  #stepStale(m: Message): void {
    const s = this.#s;
    switch (m.type) {
      case "append":
      case "heartbeat":
      case "snapshot":
        // Any answer will do: its term makes the old leader step down.
        s.send({
          type: "append-reply",
          from: s.id,
          to: m.from,
          term: s.term,
          reject: true,
          index: 0,
          hintIndex: 0,
          hintTerm: 0,
          commit: 0,
        });
        return;
      case "pre-vote":
      case "vote":
        election.refuseVote(s, m);
        return;
      default:
    }
  }

  #dispatch(m: Message): void {
    const s = this.#s;
    switch (m.type) {
      case "pre-vote":
      case "vote":
        return election.handleVoteRequest(s, m);
      case "pre-vote-reply":
      case "vote-reply":
        return election.handleVoteReply(s, m);
      case "append":
      case "heartbeat":
      case "snapshot":
        assert(s.role !== "leader", `${m.from} and ${s.id} both lead term ${s.term}`);
        following.acceptLeader(s, m);
        if (m.type === "append") return following.handleAppend(s, m);
        if (m.type === "heartbeat") return following.handleHeartbeat(s, m);
        return following.handleSnapshot(s, m);
      case "append-reply":
        if (s.role === "leader") replication.handleAppendReply(s, m);
        return;
      case "heartbeat-reply":
        if (s.role === "leader") replication.handleHeartbeatReply(s, m);
        return;
      case "timeout-now":
        return election.handleTimeoutNow(s, m.from);
      case "transfer":
        if (s.role === "leader" && s.isVoter(m.transferee)) {
          membership.transferLeadership(s, m.transferee);
        }
        return;
      case "read-index":
        return reads.handleReadIndex(s, m);
      case "read-index-reply":
        return reads.handleReadIndexReply(s, m);
    }
  }

  /**
   * Appends to the leader's log. @throws FleetError unavailable when this member does not lead, is handing
   * over the lead, or too much is uncommitted
   */
  propose(data: Uint8Array): Proposal {
    const s = this.#s;
    this.#checkLeads();
    const size = entryBytes({ index: 0, term: 0, type: "normal", data });
    if (s.uncommittedBytes > 0 && s.uncommittedBytes + size > s.config.maxUncommittedBytes) {
      throw new FleetError(
        "unavailable",
        `${s.uncommittedBytes} bytes of changes wait for a majority of the managers; try again later`,
      );
    }
    s.uncommittedBytes += size;
    const { index, term } = s.appendOwn("normal", data);
    return { index, term };
  }

  /** @throws FleetError unavailable (not leading, another change under way, not caught up) | invalid | conflict */
  proposeConfChange(change: ConfChange): Proposal {
    this.#checkLeads();
    const { index, term } = membership.proposeConfChange(this.#s, change);
    return { index, term };
  }

  #checkLeads(): void {
    const s = this.#s;
    if (s.role !== "leader") {
      throw new FleetError(
        "unavailable",
        s.leader === ""
          ? "no manager leads at the moment; try again in a few seconds"
          : `this manager does not lead, ${s.leader} does`,
      );
    }
    if (s.resigning > 0) {
      throw new FleetError(
        "unavailable",
        "this manager was removed and is about to give up the lead; try again in a moment",
      );
    }
    if (s.transferee !== "") {
      throw new FleetError(
        "unavailable",
        `the lead is being handed over to ${s.transferee}; try again in a moment`,
      );
    }
  }

  /** Must be called once for every `conf` entry of `Ready.committed`, in order, while applying. */
  applyConfChange(entry: Entry): ConfState {
    const next = this.#outstanding?.conf.shift();
    assert(next?.index === entry.index, `entry ${entry.index} is not the next change to apply`);
    return membership.applyConfChange(this.#s, entry);
  }

  /**
   * Asks for an index at which a read is linearizable. The answer comes in `Ready.readStates`, or never (the
   * lead or a message was lost): ask again after a while with a new `context`. `context` must be unique
   * among all members and runs. @throws FleetError unavailable
   */
  readIndex(context: string): void {
    reads.readIndex(this.#s, context);
  }

  /**
   * Moves the lead to `to`, or tries: given up after an election timeout. On a follower the request is
   * passed on. @throws FleetError unavailable | invalid
   */
  transferLeadership(to: RaftId): void {
    membership.transferLeadership(this.#s, to);
  }

  /** Starts an election now (with pre-vote), if this member may lead. */
  campaign(): void {
    election.maybeCampaign(this.#s, "pre-vote");
  }

  /** Hint: the connection from `id` (default: the leader) was closed by the other side. */
  leaderLost(id?: RaftId): void {
    if (id === undefined || id === this.#s.leader) election.leaderLost(this.#s);
  }

  hasReady(): boolean {
    const s = this.#s;
    if (this.#outstanding) return false;
    return s.early.length > 0 || s.late.length > 0 || s.readStates.length > 0 ||
      s.flushNeeded || (s.role === "leader" && s.reads.needsRound()) ||
      s.log.hasUnpersisted() || s.log.hasUnapplied() ||
      (s.regressed !== undefined && !this.#regressedReported) ||
      this.#hardState.term !== s.term || this.#hardState.vote !== s.vote ||
      this.#hardState.commit !== s.log.committed ||
      this.#softState.role !== s.role || this.#softState.leader !== s.leader;
  }

  /** What is to be done now; see {@link Ready} for the order. Ends with {@link advance}. */
  ready(): Ready {
    const s = this.#s;
    assert(!this.#outstanding, "the Ready before was not advanced");
    replication.flush(s);
    const { entries, snapshot } = s.log.beginWrite();
    if (snapshot) s.conf = snapshot.meta.conf;
    const committed = s.log.beginApply(s.config.maxCommittedBytes);
    if (s.uncommittedBytes > 0) this.#releaseUncommitted(committed);
    const before = this.#hardState;
    const hardState = s.hardState();
    const voted = hardState.term !== before.term || hardState.vote !== before.vote;
    const softState: SoftState = { leader: s.leader, role: s.role };
    const ready: Ready = {
      mustSync: voted || entries.length > 0 || snapshot !== undefined ||
        s.log.hasConfIn(before.commit, hardState.commit),
      entries,
      committed,
      messagesEarly: s.early,
      messages: s.late,
      readStates: s.readStates,
      ...(voted || hardState.commit !== before.commit ? { hardState } : {}),
      ...(snapshot ? { snapshot } : {}),
      ...(softState.leader !== this.#softState.leader || softState.role !== this.#softState.role
        ? { softState }
        : {}),
      ...(s.regressed && !this.#regressedReported ? { regressed: s.regressed } : {}),
    };
    this.#hardState = hardState;
    this.#softState = softState;
    this.#regressedReported = s.regressed !== undefined;
    s.early = [];
    s.late = [];
    s.readStates = [];
    this.#outstanding = {
      term: s.term,
      conf: committed.filter((entry) => entry.type === "conf"),
    };
    return ready;
  }

  #releaseUncommitted(committed: readonly Entry[]): void {
    const s = this.#s;
    let bytes = 0;
    for (const entry of committed) {
      if (entry.type === "normal" && entry.data.length > 0) bytes += entryBytes(entry);
    }
    // Entries of an earlier leader were never counted here.
    s.uncommittedBytes = Math.max(0, s.uncommittedBytes - bytes);
  }

  /** The last Ready is done: persisted and applied. */
  advance(): void {
    const s = this.#s;
    const done = this.#outstanding;
    assert(done, "there is no Ready to advance");
    assert(done.conf.length === 0, `membership change ${done.conf[0]?.index} was not applied`);
    this.#outstanding = undefined;
    s.log.acceptWritten();
    s.log.acceptApplied();
    replication.acknowledgeOwn(s);
    if (done.term === s.term) election.countOwnVote(s);
  }

  /** A message to `id` could not be delivered: probe before sending more. */
  reportUnreachable(id: RaftId): void {
    const progress = this.#s.progress.get(id);
    if (progress?.state === "replicate") progress.becomeProbe();
  }

  /** How sending a snapshot to `id` ended. Must be called for each one. */
  reportSnapshot(id: RaftId, ok: boolean): void {
    const progress = this.#s.progress.get(id);
    if (progress?.state !== "snapshot") return;
    if (!ok) progress.pendingSnapshot = 0;
    progress.becomeProbe();
    // Its acknowledgement or the next heartbeat's reply says when to go on.
    progress.probeSent = true;
  }

  /** The members in force here. */
  members(): ConfState {
    return this.#s.conf;
  }

  /** Other periods from now on; the election under way keeps its timeout. */
  setTiming(heartbeatTicks: number, electionTicks: number): void {
    this.#s.setTiming(heartbeatTicks, electionTicks);
  }

  /** Committed indexes that members are known to have persisted; worth keeping across restarts. */
  remembered(): readonly (readonly [id: RaftId, index: number])[] {
    return [...this.#s.remembered].sort(([a], [b]) => a < b ? -1 : 1);
  }

  status(): RaftStatus {
    const s = this.#s;
    return {
      id: s.id,
      term: s.term,
      vote: s.vote,
      leader: s.leader,
      role: s.role,
      commit: s.log.committed,
      applied: s.log.applied,
      firstIndex: s.log.firstIndex(),
      lastIndex: s.log.lastIndex(),
      conf: s.conf,
      peers: [...s.progress.values()].map((progress) => progress.status(s.config.electionTicks)),
      transferee: s.transferee,
      uncommittedBytes: s.uncommittedBytes,
      pendingReads: s.reads.size,
      regressed: s.regressed,
      remembered: this.remembered(),
    };
  }
}
