/**
 * A few members in one place with a network of arrays, for unit tests and scenarios. Everything happens
 * when it is asked for; nothing is random but the election timeouts, and those come from a seed.
 */
import { assert, must } from "../../base/assert.ts";
import { SeededRandom } from "../../base/random.ts";
import { bootstrap } from "./conf_change.ts";
import type { RaftConfig } from "./config.ts";
import { MemoryStorage } from "./memory_storage.ts";
import { RaftNode } from "./node.ts";
import type { ConfState, Entry, Message, RaftId, ReadState, Ready } from "./types.ts";

/** Rounds of pump and deliver after which a cluster that does not come to rest is broken. */
const MAX_ROUNDS = 10_000;

/** One member with its disk and its state machine, which is the list of what was applied. */
export class TestMember {
  storage = new MemoryStorage();
  node!: RaftNode;
  applied: Entry[] = [];
  conf: ConfState = { voters: [], learners: [] };
  readStates: ReadState[] = [];
  down = false;

  constructor(readonly config: RaftConfig, founders: readonly RaftId[]) {
    this.forget(founders);
  }

  /** Works off one Ready as its contract says; returns it. */
  pump(send: (m: Message) => void): Ready {
    const ready = this.node.ready();
    ready.messagesEarly.forEach(send);
    this.persist(ready);
    ready.messages.forEach(send);
    this.apply(ready);
    this.node.advance();
    return ready;
  }

  persist(ready: Ready): void {
    if (ready.snapshot) this.storage.applySnapshot(ready.snapshot);
    this.storage.append(ready.entries);
    if (ready.hardState) this.storage.setHardState(ready.hardState);
  }

  apply(ready: Ready): void {
    if (ready.snapshot) {
      this.applied = decodeApplied(ready.snapshot.data);
      this.conf = ready.snapshot.meta.conf;
    }
    for (const entry of ready.committed) {
      if (entry.type === "conf") this.conf = this.node.applyConfChange(entry);
      this.applied.push(entry);
    }
    this.readStates.push(...ready.readStates);
  }

  /** The process starts again on the same disk. */
  restart(overrides: Partial<RaftConfig> = {}): void {
    const snapshot = this.storage.snapshot();
    this.applied = snapshot ? decodeApplied(snapshot.data) : [];
    this.conf = snapshot?.meta.conf ?? { voters: [], learners: [] };
    this.storage.setConf(this.conf);
    this.readStates = [];
    this.down = false;
    const applied = snapshot?.meta.index ?? 0;
    this.node = new RaftNode({ ...this.config, ...overrides, applied }, this.storage);
  }

  /** The disk goes back to the founding entries, as if restored from an old image. */
  forget(founders: readonly RaftId[]): void {
    this.storage = new MemoryStorage();
    if (founders.length > 0) {
      const { entries, hardState } = bootstrap(founders);
      this.storage.append(entries);
      this.storage.setHardState(hardState);
    }
    this.restart();
  }

  /** Snapshots what is applied and drops the log up to there, but for `keep` entries. */
  compact(keep = 0): void {
    const index = must(this.applied.at(-1), "applied entry").index;
    this.storage.createSnapshot(index, this.conf, encodeApplied(this.applied));
    this.storage.compact(index - keep);
  }
}

export class TestCluster {
  readonly members = new Map<RaftId, TestMember>();
  /** Messages under way, oldest first. */
  queue: Message[] = [];
  /** Returns true for messages that get lost. */
  drop: (m: Message) => boolean = () => false;
  readonly #options: Partial<RaftConfig>;

  constructor(founders: readonly RaftId[], options: Partial<RaftConfig> = {}) {
    this.#options = options;
    for (const id of founders) this.add(id, founders);
  }

  /** A new member; without founders it waits to be joined. */
  add(id: RaftId, founders: readonly RaftId[] = []): TestMember {
    const random = new SeededRandom(this.members.size + 1);
    const member = new TestMember({ id, random, ...this.#options }, founders);
    this.members.set(id, member);
    while (member.node.hasReady()) this.pump(id);
    return member;
  }

  member(id: RaftId): TestMember {
    return must(this.members.get(id), `member ${id}`);
  }

  node(id: RaftId): RaftNode {
    return this.member(id).node;
  }

  pump(id: RaftId): Ready {
    return this.member(id).pump((m) => void this.queue.push(m));
  }

  /** Works off every Ready; messages stay in the queue. */
  pumpAll(): boolean {
    let any = false;
    for (const [id, member] of this.members) {
      if (member.down || !member.node.hasReady()) continue;
      this.pump(id);
      any = true;
    }
    return any;
  }

  /** Hands over one message, unless it gets lost. */
  deliver(m: Message): void {
    const to = this.members.get(m.to);
    if (to === undefined || to.down || this.member(m.from).down || this.drop(m)) return;
    to.node.step(m);
  }

  /** Until nobody has anything to say or do. */
  settle(): void {
    for (let i = 0; i < MAX_ROUNDS; i++) {
      const pumped = this.pumpAll();
      const queue = this.queue;
      this.queue = [];
      for (const m of queue) this.deliver(m);
      if (!pumped && queue.length === 0) return;
    }
    assert(false, "the cluster does not come to rest");
  }

  /** Time passes for everybody, and everything is delivered between two ticks. */
  tick(n = 1): void {
    for (let i = 0; i < n; i++) {
      for (const member of this.members.values()) if (!member.down) member.node.tick();
      this.settle();
    }
  }

  /** Makes `id` the leader. */
  elect(id: RaftId): void {
    this.node(id).campaign();
    this.settle();
    assert(this.node(id).status().role === "leader", `${id} was not elected`);
  }

  /** Proposes text and delivers until quiet. */
  propose(id: RaftId, text: string): void {
    this.node(id).propose(new TextEncoder().encode(text));
    this.settle();
  }

  /** Nothing goes from or to `ids`. */
  isolate(...ids: RaftId[]): void {
    this.drop = (m) => ids.includes(m.from) !== ids.includes(m.to);
  }

  heal(): void {
    this.drop = () => false;
  }

  /** The normal, non-empty entries that `id` has applied, as text. */
  texts(id: RaftId): string[] {
    return this.member(id).applied
      .filter((entry) => entry.type === "normal" && entry.data.length > 0)
      .map((entry) => new TextDecoder().decode(entry.data));
  }
}

/** The test's state machine in a snapshot: what was applied, a line each. */
function encodeApplied(entries: readonly Entry[]): Uint8Array {
  const lines = entries.map((e) => `${e.index} ${e.term} ${e.type} ${[...e.data].join(",")}`);
  return new TextEncoder().encode(lines.join("\n"));
}

function decodeApplied(data: Uint8Array): Entry[] {
  return new TextDecoder().decode(data).split("\n").filter((line) => line !== "").map((line) => {
    const [index, term, type, bytes] = line.split(" ");
    return {
      index: Number(index),
      term: Number(term),
      type: type === "conf" ? "conf" : "normal",
      data: new Uint8Array(bytes ? bytes.split(",").map(Number) : []),
    };
  });
}
