import { FleetError } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import { bootstrap, EMPTY_CONF } from "../../src/core/raft/conf_change.ts";
import type { RaftConfig } from "../../src/core/raft/config.ts";
import type { MemoryStorage } from "../../src/core/raft/memory_storage.ts";
import { RaftNode } from "../../src/core/raft/node.ts";
import type {
  ConfChange,
  ConfState,
  Entry,
  Message,
  RaftId,
  Ready,
} from "../../src/core/raft/types.ts";
import { apply, SimDisk } from "./disk.ts";
import { encodeCommand, Machine } from "./machine.ts";
import type { Operation, Output } from "./machine.ts";
import type { Mutation } from "./mutations.ts";
import type { Endpoint, SimNetwork } from "./network.ts";
import type { Observer } from "./observer.ts";
import { TICK_MS } from "./options.ts";
import type { Options } from "./options.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** How a proposal or read ended. `failed` is a promise: it never took effect and never will. */
export type Outcome =
  | { readonly kind: "ok"; readonly output: Output }
  | { readonly kind: "failed" }
  | { readonly kind: "unknown" };

interface Waiter {
  readonly term: number;
  readonly done: (outcome: Outcome) => void;
}

/** Messages that wait while the process hangs; more are lost. */
const MAX_INBOX = 1_000;

export interface Surroundings {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly options: Options;
  readonly network: SimNetwork;
  readonly observer: Observer;
  readonly mutation: Mutation;
  /** Called when the disk failed: the process ends itself. */
  onDiskFailure(id: RaftId): void;
}

/** One process with its disk: what the manager role does around the core, on virtual time. */
export class SimMember implements Endpoint {
  readonly id: RaftId;
  readonly disk: SimDisk;
  readonly #world: Surroundings;
  readonly #tickMs: number;
  #node: RaftNode | undefined;
  #storage: MemoryStorage | undefined;
  #machine = new Machine();
  #conf: ConfState = EMPTY_CONF;
  #applied = 0;
  #snapshotIndex = 0;
  /** Counts processes, so that callbacks of a dead one come to nothing. */
  #epoch = 0;
  #writing = false;
  #pumping = false;
  #pausedUntil = 0;
  #inbox: Message[] = [];
  readonly #proposals = new Map<number, Waiter>();
  readonly #reads = new Map<string, { key: string; done: (outcome: Outcome) => void }>();
  #readable: { context: string; index: number }[] = [];

  /** The index of the entry that added it, for one that was there before under the same id. */
  readonly joinedIndex: number;

  constructor(
    id: RaftId,
    founders: readonly RaftId[],
    world: Surroundings,
    joinedIndex = 0,
  ) {
    this.id = id;
    this.joinedIndex = joinedIndex;
    this.#world = world;
    const { time, random, options } = world;
    this.disk = new SimDisk(time, random, options.syncMs);
    this.#tickMs = TICK_MS * (1 + (random.float() * 2 - 1) * options.tickSkew);
    if (founders.length > 0) {
      const { entries, hardState } = bootstrap(founders);
      this.disk.write({ entries, hardState }, false, () => {});
      this.disk.crash(false);
    }
  }

  get node(): RaftNode | undefined {
    return this.#node;
  }
  get storage(): MemoryStorage | undefined {
    return this.#storage;
  }
  get machine(): Machine {
    return this.#machine;
  }
  get applied(): number {
    return this.#applied;
  }
  get conf(): ConfState {
    return this.#conf;
  }

  /** The process starts from what the disk holds. */
  start(): void {
    if (this.#node) return;
    const { random, options, mutation } = this.#world;
    this.#epoch++;
    const storage = this.disk.load();
    const snapshot = storage.snapshot();
    this.#machine = Machine.decode(snapshot?.data ?? new Uint8Array());
    this.#conf = snapshot?.meta.conf ?? EMPTY_CONF;
    this.#applied = snapshot?.meta.index ?? 0;
    this.#snapshotIndex = this.#applied;
    storage.setConf(this.#conf);
    mutation.onLoad?.(storage);
    const config: RaftConfig = {
      id: this.id,
      random,
      applied: this.#applied,
      joinedIndex: this.joinedIndex,
      electionTicks: options.electionTicks,
      heartbeatTicks: options.heartbeatTicks,
      maxInflightMessages: options.maxInflightMessages,
      maxMessageBytes: options.maxMessageBytes,
      maxUncommittedBytes: options.maxUncommittedBytes,
      maxCommittedBytes: options.maxCommittedBytes,
      ...(mutation.rules ? { rules: mutation.rules } : {}),
    };
    this.#storage = storage;
    this.#node = new RaftNode(config, storage);
    this.#scheduleTick(this.#epoch, random.float() * this.#tickMs);
    this.#pump();
  }

  /** The process ends without a word. */
  crash(powerLoss: boolean): void {
    this.disk.crash(powerLoss);
    if (!this.#node) return;
    this.#node = undefined;
    this.#storage = undefined;
    this.#epoch++;
    this.#writing = false;
    this.#pausedUntil = 0;
    this.#inbox = [];
    for (const { done } of this.#proposals.values()) done({ kind: "unknown" });
    this.#proposals.clear();
    for (const { done } of this.#reads.values()) done({ kind: "unknown" });
    this.#reads.clear();
    this.#readable = [];
  }

  /** The process hangs (SIGSTOP) for `ms`. */
  pause(ms: number): void {
    const { time } = this.#world;
    this.#pausedUntil = time.now() + ms;
    const epoch = this.#epoch;
    time.after(ms, () => {
      if (epoch === this.#epoch && time.now() >= this.#pausedUntil) this.resume();
    });
  }

  resume(): void {
    this.#pausedUntil = 0;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const m of inbox) this.#node?.step(m);
    this.#pump();
  }

  #paused(): boolean {
    return this.#pausedUntil > this.#world.time.now();
  }

  #scheduleTick(epoch: number, ms: number): void {
    this.#world.time.after(ms, () => {
      if (epoch !== this.#epoch) return;
      if (!this.#paused()) {
        this.#node?.tick();
        this.#pump();
      }
      this.#scheduleTick(epoch, this.#tickMs);
    });
  }

  receive(m: Message): void {
    if (!this.#node) return;
    if (this.#paused()) {
      if (this.#inbox.length < MAX_INBOX) this.#inbox.push(m);
      return;
    }
    this.#node.step(m);
    this.#pump();
  }

  unreachable(id: RaftId): void {
    this.#node?.reportUnreachable(id);
  }

  snapshotSent(id: RaftId, ok: boolean): void {
    this.#node?.reportSnapshot(id, ok);
  }

  connectionClosed(id: RaftId): void {
    if (this.#paused()) return;
    this.#node?.leaderLost(id);
    this.#pump();
  }

  transfer(to: RaftId): void {
    this.#try(() => this.#node?.transferLeadership(to));
  }

  /** The index of the change, if it was taken. */
  proposeConfChange(change: ConfChange): number | undefined {
    let index: number | undefined;
    this.#try(() => void (index = this.#node?.proposeConfChange(change).index));
    return index;
  }

  /** Expected refusals are part of life. */
  #try(action: () => void): boolean {
    if (!this.#node || this.#paused()) return false;
    try {
      action();
    } catch (error) {
      if (error instanceof FleetError) return false;
      throw error;
    }
    this.#pump();
    return true;
  }

  /** Whether the process could say anything at all. */
  get responsive(): boolean {
    return this.#node !== undefined && !this.#paused();
  }

  propose(id: number, op: Operation, done: (outcome: Outcome) => void): void {
    let where: { index: number; term: number } | undefined;
    const ok = this.#try(() => {
      where = this.#node!.propose(encodeCommand(id, op));
      this.#world.observer.proposed(id, where);
      // Who proposed at this index before, in an earlier term, may still win elsewhere.
      this.#proposals.get(where.index)?.done({ kind: "unknown" });
      this.#proposals.set(where.index, { term: where.term, done });
      if (this.#world.mutation.acknowledgeEarly) done({ kind: "ok", output: true });
    });
    if (!ok) done({ kind: "failed" });
  }

  read(context: string, key: string, done: (outcome: Outcome) => void): void {
    const ok = this.#try(() => {
      this.#node!.readIndex(context);
      this.#reads.set(context, { key, done });
    });
    if (!ok) done({ kind: "failed" });
  }

  /** Works off Readies until there is none, or until one waits for the disk. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#node?.hasReady() && !this.#writing) this.#work(this.#node.ready());
    } finally {
      this.#pumping = false;
    }
  }

  #work(ready: Ready): void {
    const { network, mutation, observer } = this.#world;
    observer.role(this);
    for (const m of ready.messagesEarly) network.send(m);
    if (mutation.sendBeforeSync) { for (const m of ready.messages) network.send(m); }
    const { snapshot, entries } = ready;
    const hardState = mutation.hardState ? mutation.hardState(ready.hardState) : ready.hardState;
    if (!snapshot && !hardState && entries.length === 0) return this.#finish(ready);
    const record = {
      ...(snapshot ? { snapshot } : {}),
      ...(entries.length > 0 ? { entries } : {}),
      ...(hardState ? { hardState } : {}),
    };
    this.#writing = true;
    const epoch = this.#epoch;
    this.disk.write(record, ready.mustSync && !mutation.neverSync, (ok) => {
      if (epoch !== this.#epoch) return;
      this.#writing = false;
      if (!ok) {
        this.#world.onDiskFailure(this.id);
        return;
      }
      apply(this.#storage!, record);
      observer.persisted(this, entries);
      this.#finish(ready);
      this.#pump();
    });
  }

  #finish(ready: Ready): void {
    const { network, mutation, observer } = this.#world;
    if (!mutation.sendBeforeSync) { for (const m of ready.messages) network.send(m); }
    if (ready.snapshot) this.#install(ready.snapshot.data, ready.snapshot.meta);
    for (const entry of ready.committed) this.#apply(entry);
    this.#readable.push(...ready.readStates);
    this.#serveReads();
    this.#node!.advance();
    observer.role(this);
    this.#maybeSnapshot();
  }

  #install(data: Uint8Array, meta: { index: number; conf: ConfState }): void {
    this.#machine = Machine.decode(data);
    this.#conf = meta.conf;
    this.#applied = meta.index;
    this.#snapshotIndex = meta.index;
    this.#world.observer.snapshot(this, meta.index, data);
    for (const [index, { done }] of this.#proposals) {
      if (index > meta.index) continue;
      // The snapshot does not say whose entry that was.
      done({ kind: "unknown" });
      this.#proposals.delete(index);
    }
  }

  #apply(entry: Entry): void {
    this.#world.observer.applied(this, entry);
    let output: Output = true;
    if (entry.type === "conf") this.#conf = this.#node!.applyConfChange(entry);
    else if (entry.data.length > 0) output = this.#machine.apply(entry.data);
    this.#applied = entry.index;
    const waiter = this.#proposals.get(entry.index);
    if (!waiter) return;
    this.#proposals.delete(entry.index);
    waiter.done(waiter.term === entry.term ? { kind: "ok", output } : { kind: "failed" });
  }

  #serveReads(): void {
    if (this.#readable.length === 0) return;
    const later = [];
    for (const read of this.#readable) {
      if (read.index > this.#applied) {
        later.push(read);
        continue;
      }
      const waiter = this.#reads.get(read.context);
      this.#reads.delete(read.context);
      waiter?.done({ kind: "ok", output: this.#machine.read(waiter.key) });
    }
    this.#readable = later;
  }

  /** Snapshots and compacts, as the role does every so many entries. */
  #maybeSnapshot(): void {
    const { options, observer } = this.#world;
    if (this.#applied - this.#snapshotIndex < options.snapshotEvery) return;
    const data = this.#machine.encode();
    const made = { index: this.#applied, conf: this.#conf, data };
    const record = { made, compactTo: Math.max(0, this.#applied - options.keepEntries) };
    let ok = true;
    this.disk.write(record, false, (written) => void (ok = written));
    // Without room nothing is compacted; the next write notices.
    if (!ok) return;
    this.#snapshotIndex = this.#applied;
    apply(this.#storage!, record);
    observer.snapshot(this, made.index, data);
  }
}
