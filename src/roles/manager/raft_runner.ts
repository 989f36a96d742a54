import { assert, must } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Meter } from "../../base/meter.ts";
import type { RaftNode } from "../../core/raft/node.ts";
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  Message,
  RaftId,
  RaftLogStorage,
  Ready,
  Snapshot,
} from "../../core/raft/types.ts";
import { HeldCommits } from "./held_commits.ts";
import type { Proposer } from "./writer.ts";

/** The durable log. One `append` is one fsync; it throws rather than lose anything. */
export interface RaftLog extends RaftLogStorage {
  append(batch: {
    readonly entries: readonly Entry[];
    readonly hardState: HardState | undefined;
    readonly snapshot: Snapshot | undefined;
    /** False when only the commit index moved: then it need not reach the disk at once. */
    readonly mustSync?: boolean;
  }): void;
  /**
   * Stores a snapshot of the applied state and drops entries before `keepFrom`, in pieces with other work in
   * between. Does nothing when there is a newer one by then. One at a time.
   */
  saveSnapshot(snapshot: Snapshot, keepFrom: number): Promise<void>;
}

/** Carries messages to the other members without ever blocking. */
export interface RaftTransport {
  send(messages: readonly Message[]): void;
  /** Whom to keep connections to. */
  setPeers(peers: readonly { readonly nodeId: RaftId; readonly addr: string }[]): void;
}

/** What the log is for. */
export interface StateMachine {
  /** Applies one committed entry's data; empty data only advances the index. */
  apply(index: number, data: Uint8Array): void;
  restore(snapshot: Snapshot): void;
  /** Encodes the state as of `index`, which is the last applied one when it is called. */
  snapshot(): Promise<{ index: number; data: Uint8Array }>;
}

export interface RaftEvents {
  /** Leader id or "" and whether this node leads; called when either changes. */
  onLeadership(leader: RaftId | "", leading: boolean): void;
  onMembers(conf: ConfState): void;
  /** This member once confirmed `index`, which its log does not reach: it is an old copy. */
  onRegression(index: number): void;
  /** The log cannot be written or trusted any more. The owner stops this manager. */
  onFailure(error: unknown): void;
}

export interface RaftRunnerOptions {
  readonly id: RaftId;
  /** Drawn at each start: tells answers to this process from those to the one before. */
  readonly run: string;
  readonly node: RaftNode;
  readonly log: RaftLog;
  readonly transport: RaftTransport;
  readonly machine: StateMachine;
  readonly events: RaftEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter?: Meter | undefined;
  /** Runs a function after the current burst of input, so that many steps share one fsync. */
  readonly defer: (fn: () => void) => void;
  readonly tickMs: number;
  readonly snapshotInterval: () => number;
  readonly entriesForSlowFollowers: () => number;
}

interface Pending {
  readonly term: number;
  readonly resolve: (index: number) => void;
  readonly reject: (error: unknown) => void;
}

/** A leader without others needs no heartbeats: it wakes only so often. */
const ALONE_TICKS = 10;
/** Proposals on their way at once. */
const MAX_PENDING = 4_096;
/** On a full disk writing is tried again this often. */
const DISK_RETRY_MS = 1_000;
/** Read requests on their way at once. */
const MAX_READS = 4_096;

/**
 * Runs one raft node: feeds it ticks and messages, makes its decisions durable, sends, applies.
 *
 * The order inside one round is raft's: entries and hard state reach the disk before any message that
 * promises them leaves; only a leader's appends may go out first, since they promise nothing.
 */
export class RaftRunner implements Proposer {
  readonly #options: RaftRunnerOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #reads = new Map<
    string,
    { resolve(index: number): void; reject(error: unknown): void }
  >();
  readonly #appliedWaiters: { index: number; resolve: () => void }[] = [];
  #applied: number;
  #appliedSinceSnapshot = 0;
  #snapshotting = false;
  #scheduled = false;
  #stopped = false;
  #readCount = 0;
  /** A Ready that found the disk full. */
  #unwritten: Ready | undefined;
  #leader: RaftId | "" = "";
  #leading = false;
  #cancelTick: () => void = () => {};
  readonly #commits: HeldCommits;

  constructor(options: RaftRunnerOptions) {
    this.#options = options;
    this.#commits = new HeldCommits(options.clock, (messages) => options.transport.send(messages));
    this.#applied = options.log.snapshot()?.meta.index ?? 0;
  }

  get leader(): RaftId | "" {
    return this.#leader;
  }

  get leading(): boolean {
    return this.#leading;
  }

  get applied(): number {
    return this.#applied;
  }

  get node(): RaftNode {
    return this.#options.node;
  }

  start(): void {
    this.#planTick();
    this.#schedule();
  }

  #planTick(): void {
    this.#cancelTick();
    const { clock, node, tickMs } = this.#options;
    const period = this.#alone() ? ALONE_TICKS * tickMs : tickMs;
    this.#cancelTick = clock.after(period, () => {
      if (this.#stopped) return;
      if (!this.#unwritten) node.tick();
      this.#planTick();
      // Most ticks of a quiet member change nothing: one wake-up is enough.
      if (node.hasReady()) this.#schedule();
    });
  }

  /** There is nobody to send heartbeats to or to be elected by. */
  #alone(): boolean {
    const { voters, learners } = this.#options.node.members();
    return this.#leading && voters.length === 1 && learners.length === 0;
  }

  /** Ends the loop. What was proposed and not seen committed is answered with `unavailable`. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTick();
    this.#commits.stop();
    this.#failAll("this manager is stopping; try again");
  }

  /** A message from another member. */
  step(message: Message): void {
    if (this.#stopped) return;
    this.#options.node.step(message);
    this.#schedule();
  }

  /** The connection from `id` ended: when it is the leader's, an election may start early. */
  peerClosed(id: RaftId): void {
    if (this.#stopped) return;
    if (id === this.#leader) this.#options.node.leaderLost();
    this.#schedule();
  }

  unreachable(id: RaftId): void {
    if (!this.#stopped) this.#options.node.reportUnreachable(id);
  }

  snapshotSent(id: RaftId, ok: boolean): void {
    if (this.#stopped) return;
    this.#options.node.reportSnapshot(id, ok);
    this.#schedule();
  }

  campaign(): void {
    this.#options.node.campaign();
    this.#schedule();
  }

  transferLeadership(to: RaftId): void {
    this.#options.node.transferLeadership(to);
    this.#schedule();
  }

  propose(data: Uint8Array): Promise<number> {
    const proposed = this.#track(() => this.#options.node.propose(data));
    const { meter, clock } = this.#options;
    if (meter) {
      const started = clock.monotonic();
      proposed.then(
        () => meter.observe("raft_commit_seconds", (clock.monotonic() - started) / 1000),
        () => meter.add("raft_proposals_failed_total"),
      );
    }
    return proposed;
  }

  /** One change of the membership; resolves once it is applied here. */
  proposeConfChange(change: ConfChange): Promise<number> {
    return this.#track(() => this.#options.node.proposeConfChange(change));
  }

  #track(propose: () => { index: number; term: number }): Promise<number> {
    if (this.#stopped) return Promise.reject(lostLeadership());
    if (this.#unwritten) {
      return Promise.reject(
        new FleetError(
          "unavailable",
          "no space left for the log: free some space; the change was not made",
        ),
      );
    }
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(
        new FleetError("unavailable", "too many writes are on their way; try again"),
      );
    }
    return new Promise((resolve, reject) => {
      const { index, term } = propose();
      this.#pending.set(index, { term, resolve, reject });
      this.#schedule();
    });
  }

  /**
   * Resolves once everything committed before the call is applied here, so that a read of the store is
   * linearizable. @throws FleetError unavailable without a leader that can reach a majority
   */
  readBarrier(timeoutMs: number): Promise<void> {
    if (this.#stopped || this.#unwritten) return Promise.reject(lostLeadership());
    if (this.#reads.size >= MAX_READS) {
      return Promise.reject(new FleetError("unavailable", "too many reads are waiting; try again"));
    }
    const { id, run } = this.#options;
    const context = `${id}/${run}/${++this.#readCount}`;
    return new Promise<void>((resolve, reject) => {
      const cancel = this.#options.clock.after(timeoutMs, () => {
        this.#reads.delete(context);
        reject(
          new FleetError(
            "unavailable",
            "the managers do not answer: no majority confirms the leader",
          ),
        );
      });
      this.#reads.set(context, {
        resolve: (index) => {
          cancel();
          this.#whenApplied(index, resolve);
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      });
      try {
        this.#options.node.readIndex(context);
      } catch (error) {
        cancel();
        this.#reads.delete(context);
        reject(error);
      }
      this.#schedule();
    });
  }

  #whenApplied(index: number, resolve: () => void): void {
    if (this.#applied >= index) resolve();
    else this.#appliedWaiters.push({ index, resolve });
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped || this.#unwritten) return;
    this.#scheduled = true;
    this.#options.defer(() => {
      this.#scheduled = false;
      if (this.#stopped) return;
      this.#work();
    });
  }

  #work(): void {
    if (this.#stopped) return;
    try {
      while (!this.#stopped && (this.#unwritten || this.#options.node.hasReady())) {
        if (!this.#round()) return;
      }
    } catch (error) {
      this.stop();
      this.#options.events.onFailure(error);
    }
  }

  /** One Ready from decision to application; false when the disk is full and it has to be tried again. */
  #round(): boolean {
    const { node, transport, machine } = this.#options;
    let ready = this.#unwritten;
    if (!ready) {
      ready = node.ready();
      if (ready.messagesEarly.length > 0) this.#commits.send(ready.messagesEarly);
    }
    if (!this.#persist(ready)) return false;
    if (ready.regressed) {
      const { expected, lastIndex } = ready.regressed;
      this.#options.events.onRegression(expected);
      throw lostAcknowledgedEntries(expected, lastIndex);
    }
    if (ready.snapshot) {
      machine.restore(ready.snapshot);
      this.#applied = ready.snapshot.meta.index;
      this.#options.events.onMembers(ready.snapshot.meta.conf);
    }
    if (ready.messages.length > 0) transport.send(ready.messages);
    this.#noteSoftState(ready);
    for (const entry of ready.committed) this.#apply(entry);
    for (const read of ready.readStates) {
      this.#reads.get(read.context)?.resolve(read.index);
      this.#reads.delete(read.context);
    }
    node.advance();
    this.#settleApplied();
    this.#maybeSnapshot();
    return true;
  }

  /**
   * Makes a Ready durable. A full disk is no reason to give up: the transaction was undone as a whole, so
   * the same Ready is written again until there is room; meanwhile this member is silent, and if it leads
   * and is not alone, the others elect another leader.
   */
  #persist(ready: Ready): boolean {
    const { entries, hardState, snapshot, mustSync } = ready;
    if (!snapshot && entries.length === 0 && !hardState) return true;
    try {
      const { meter, clock } = this.#options;
      const started = clock.monotonic();
      this.#options.log.append({ entries, hardState, snapshot, mustSync });
      if (mustSync !== false) {
        meter?.observe("raft_append_seconds", (clock.monotonic() - started) / 1000);
      }
    } catch (error) {
      if (kindOf(error) !== "unavailable") throw error;
      if (!this.#unwritten) {
        this.#options.logger.log("error", "the log cannot be written; trying again", {
          error: messageOf(error),
        });
      }
      this.#unwritten = ready;
      this.#failAll(messageOf(error));
      this.#options.clock.after(DISK_RETRY_MS, () => this.#work());
      return false;
    }
    if (this.#unwritten) this.#options.logger.log("info", "the log can be written again");
    this.#unwritten = undefined;
    return true;
  }

  #noteSoftState(ready: Ready): void {
    if (!ready.softState) return;
    const { leader, role } = ready.softState;
    const leading = role === "leader";
    if (leader === this.#leader && leading === this.#leading) return;
    if (leader !== this.#leader) this.#options.meter?.add("raft_leader_changes_total");
    const wasLeading = this.#leading;
    this.#leader = leader;
    this.#leading = leading;
    if (wasLeading && !leading) {
      this.#failAll(
        "this manager lost the lead while the change was on its way; look before you try again",
      );
    }
    this.#options.logger.log("info", leading ? "this manager leads" : "leader changed", {
      leader: leader || "none",
    });
    this.#options.events.onLeadership(leader, leading);
  }

  #apply(entry: Entry): void {
    assert(entry.index === this.#applied + 1, `entry ${entry.index} after ${this.#applied}`);
    if (entry.type === "conf") {
      const conf = this.#options.node.applyConfChange(entry);
      this.#options.machine.apply(entry.index, new Uint8Array(0));
      this.#options.events.onMembers(conf);
      this.#planTick();
    } else this.#options.machine.apply(entry.index, entry.data);
    this.#applied = entry.index;
    this.#appliedSinceSnapshot++;
    const pending = this.#pending.get(entry.index);
    if (!pending) return;
    this.#pending.delete(entry.index);
    if (pending.term === entry.term) pending.resolve(entry.index);
    else pending.reject(lostLeadership());
  }

  #settleApplied(): void {
    for (let i = this.#appliedWaiters.length - 1; i >= 0; i--) {
      const waiter = this.#appliedWaiters[i]!;
      if (waiter.index > this.#applied) continue;
      this.#appliedWaiters.splice(i, 1);
      waiter.resolve();
    }
  }

  #failAll(sentence: string): void {
    const error = new FleetError("unavailable", sentence);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    for (const read of this.#reads.values()) read.reject(error);
    this.#reads.clear();
  }

  /** Snapshots after every `snapshotInterval` entries, without stopping the loop. */
  #maybeSnapshot(): void {
    if (this.#snapshotting || this.#appliedSinceSnapshot < this.#options.snapshotInterval()) return;
    this.#snapshotting = true;
    this.#appliedSinceSnapshot = 0;
    const { log, machine, node, logger } = this.#options;
    const { conf } = node.status();
    const term = must(log.term(this.#applied), `term of entry ${this.#applied}`);
    machine.snapshot().then(async ({ index, data }) => {
      if (this.#stopped || index < (log.snapshot()?.meta.index ?? 0)) return;
      const keepFrom = Math.max(index - this.#options.entriesForSlowFollowers(), log.firstIndex());
      await log.saveSnapshot({ meta: { index, term, conf }, data }, keepFrom);
      logger.log("debug", "snapshot written", { index, bytes: data.length });
    }).catch((error: unknown) => {
      logger.log("warn", "snapshot failed; the log grows until the next one", {
        error: messageOf(error),
      });
    }).finally(() => {
      this.#snapshotting = false;
    });
  }
}

function lostLeadership(): FleetError {
  return new FleetError(
    "unavailable",
    "this manager does not lead any more; the change was not confirmed, look before you try again",
  );
}

/** The sentence of a member whose log ends before what it once confirmed. */
export function lostAcknowledgedEntries(expected: number, lastIndex: number): FleetError {
  return new FleetError(
    "corrupt",
    `this manager's data is older than what it once confirmed (its log ends at entry ${lastIndex}, entry ${expected} was confirmed): ` +
      "it was restored from an old copy; run fleet leave --force here, remove the node on another manager, and join again",
  );
}
