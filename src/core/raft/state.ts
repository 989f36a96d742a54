import { assert, must } from "../../base/assert.ts";
import { randomInt } from "../../base/random.ts";
import { checked, fullConfig } from "./config.ts";
import type { FullConfig, RaftConfig } from "./config.ts";
import { RaftLog } from "./log.ts";
import { Progress } from "./progress.ts";
import { ReadQueue } from "./read_queue.ts";
import type { Rules } from "./rules.ts";
import type {
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  RaftId,
  RaftLogStorage,
  ReadState,
  Regression,
  Role,
} from "./types.ts";

/**
 * Everything that one member knows, and the transitions between roles. `election.ts`, `replication.ts`,
 * `following.ts`, `membership.ts` and `reads.ts` hold the behaviour; `node.ts` is the outside.
 *
 * Invariants: `term` never falls; within a term `vote` is set once and `leader` changes only between
 * nobody and one member; `progress` has exactly the members of `conf` while this member leads.
 */
export class RaftState {
  readonly id: RaftId;
  config: FullConfig;
  readonly rules: Rules;
  readonly log: RaftLog;
  term: number;
  vote: RaftId | "";
  leader: RaftId | "" = "";
  role: Role = "follower";
  conf: ConfState;

  /** Answers in the election under way. */
  readonly votes = new Map<RaftId, boolean>();
  /** Followers and candidates: since the leader's last sign of life or the start of the election. Leaders: since the last check of the quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Ticks after which this member campaigns; drawn anew on each change of role. */
  electionTimeout = 0;

  /** Sorted by id. Only meaningful while leading. */
  progress = new Map<RaftId, Progress>();
  transferee: RaftId | "" = "";
  /** No membership change may be proposed before this index is applied. */
  pendingConfIndex = 0;
  uncommittedBytes = 0;
  /** The index of this leader's own removal, while it still leads; 0 otherwise. */
  resigning = 0;
  /** Appends may have to be sent: looked at once per Ready, so that proposals share messages. */
  flushNeeded = false;
  readonly reads = new ReadQueue();
  /** This member's log index at which it became the leader (its no-op). */
  termStart = 0;

  /** Committed indexes that members are known to have persisted. */
  readonly remembered: Map<RaftId, number>;
  regressed: Regression | undefined;

  early: Message[] = [];
  late: Message[] = [];
  readStates: ReadState[] = [];

  constructor(config: RaftConfig, storage: RaftLogStorage) {
    this.config = fullConfig(config);
    this.id = this.config.id;
    this.rules = this.config.rules;
    const { hardState, conf } = storage.initialState();
    this.log = new RaftLog(storage, hardState.commit, this.config.applied);
    this.term = hardState.term;
    this.vote = hardState.vote;
    this.conf = conf;
    this.remembered = new Map(this.config.remembered);
    assert(this.log.lastTerm() <= this.term || this.log.lastIndex() === 0, "log ahead of the term");
    this.#drawElectionTimeout();
  }

  setTiming(heartbeatTicks: number, electionTicks: number): void {
    this.config = checked({ ...this.config, heartbeatTicks, electionTicks });
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  isVoter(id: RaftId): boolean {
    return this.conf.voters.includes(id);
  }

  quorum(): number {
    return this.rules.quorum(this.conf.voters.length);
  }

  /** Whether this member is bound to a leader that it heard recently (§4.2.3 of the dissertation). */
  inLease(): boolean {
    return this.leader !== "" && this.electionElapsed < this.config.electionTicks;
  }

  send(message: Message): void {
    switch (message.type) {
      case "append":
      case "heartbeat":
      case "snapshot":
      case "timeout-now":
      case "read-index-reply":
        // Only a leader sends these, and its term and vote were on disk before it led.
        this.early.push(message);
        return;
      default:
        this.late.push(message);
    }
  }

  becomeFollower(term: number, leader: RaftId | ""): void {
    this.#reset(term);
    this.role = "follower";
    this.leader = leader;
  }

  becomePreCandidate(): void {
    assert(this.role !== "leader", "a leader does not campaign");
    // Neither term nor vote change: that is the point of the pre-vote.
    this.votes.clear();
    this.electionElapsed = 0;
    this.#drawElectionTimeout();
    this.role = "pre-candidate";
    this.leader = "";
  }

  becomeCandidate(): void {
    assert(this.role !== "leader", "a leader does not campaign");
    this.#reset(this.term + 1);
    this.role = "candidate";
    this.vote = this.id;
  }

  becomeLeader(): void {
    assert(this.role === "candidate", "only candidates become leaders");
    const answered = new Set(this.votes.keys());
    this.#reset(this.term);
    this.role = "leader";
    this.leader = this.id;
    this.rebuildProgress();
    for (const progress of this.progress.values()) {
      progress.recentActive = true;
      // Nobody counts a member for there that may have gone with the last leader.
      if (!answered.has(progress.id)) progress.silentTicks = this.config.electionTicks;
    }
    // What a predecessor proposed may include a membership change.
    this.pendingConfIndex = this.log.lastIndex();
    this.termStart = this.appendOwn("normal", new Uint8Array()).index;
  }

  /** Appends an entry of this leader. */
  appendOwn(type: EntryType, data: Uint8Array): Entry {
    const entry: Entry = { index: this.log.lastIndex() + 1, term: this.term, type, data };
    this.log.append(entry);
    this.flushNeeded = true;
    return entry;
  }

  /** Brings `progress` in line with `conf`, keeping what is known of members that stay. */
  rebuildProgress(): void {
    const before = this.progress;
    this.progress = new Map();
    const window = {
      messages: this.config.maxInflightMessages,
      bytes: this.config.maxInflightBytes,
    };
    for (const id of [...this.conf.voters, ...this.conf.learners].sort()) {
      const learner = !this.isVoter(id);
      let progress = before.get(id);
      if (!progress) {
        progress = new Progress(id, learner, this.log.lastIndex() + 1, window);
        // A fresh member gets one period to speak up before the quorum is checked.
        progress.recentActive = true;
      }
      progress.learner = learner;
      if (id === this.id) progress.acknowledge(this.log.stable);
      this.progress.set(id, progress);
    }
  }

  /** Whether the leader has committed an entry of its own term, so that it knows what is committed. */
  committedInTerm(): boolean {
    return this.role === "leader" && this.log.committed >= this.termStart;
  }

  /** Keeps the highest committed index that `id` is known to hold. */
  remember(id: RaftId, index: number): void {
    if (id === this.id || index <= (this.remembered.get(id) ?? 0)) return;
    this.remembered.set(id, index);
  }

  /** What a message to `id` says in `expect`. */
  expectOf(id: RaftId): number {
    return this.remembered.get(id) ?? 0;
  }

  #reset(term: number): void {
    assert(term >= this.term, "the term never falls");
    if (term !== this.term) {
      this.term = term;
      this.vote = "";
    }
    this.leader = "";
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.#drawElectionTimeout();
    this.votes.clear();
    this.transferee = "";
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.resigning = 0;
    this.flushNeeded = false;
    this.termStart = 0;
    this.reads.clear();
    this.progress = new Map();
  }

  #drawElectionTimeout(): void {
    const { electionTicks, random } = this.config;
    this.electionTimeout = electionTicks + randomInt(random, electionTicks);
  }

  progressOf(id: RaftId): Progress {
    return must(this.progress.get(id), `progress of ${id}`);
  }
}
