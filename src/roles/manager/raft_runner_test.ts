import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { MemoryStorage } from "../../core/raft/memory_storage.ts";
import { RaftNode } from "../../core/raft/node.ts";
import type { Entry, HardState, Snapshot } from "../../core/raft/types.ts";
import { RaftRunner } from "./raft_runner.ts";

interface Batch {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  readonly snapshot: Snapshot | undefined;
}

/** A log in memory whose disk can be full. */
class TestLog extends MemoryStorage {
  full = false;
  appended: Entry[] = [];
  persist(batch: Batch): void {
    if (this.full) {
      throw new FleetError("unavailable", "no space left for raft.db: free some space");
    }
    this.appended.push(...batch.entries);
    if (batch.snapshot) this.applySnapshot(batch.snapshot);
    this.append(batch.entries);
    if (batch.hardState) this.setHardState(batch.hardState);
  }
}

function single() {
  const storage = new TestLog();
  storage.applySnapshot({
    meta: { index: 1, term: 1, conf: { voters: ["a"], learners: [] } },
    data: new Uint8Array(),
  });
  storage.setHardState({ term: 1, vote: "", commit: 1 });
  const timers: { at: number; fn: () => void }[] = [];
  const clock = {
    time: 0,
    now: () => clock.time,
    monotonic: () => clock.time,
    after(ms: number, fn: () => void) {
      const timer = { at: clock.time + ms, fn };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer) >>> 0, timers.includes(timer) ? 1 : 0);
    },
  };
  const advance = (ms: number) => {
    clock.time += ms;
    for (const timer of timers.filter(({ at }) => at <= clock.time)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.fn();
    }
  };
  const applied: string[] = [];
  const failures: unknown[] = [];
  const log = {
    initialState: () => storage.initialState(),
    firstIndex: () => storage.firstIndex(),
    lastIndex: () => storage.lastIndex(),
    term: (index: number) => storage.term(index),
    entries: (lo: number, hi: number, max: number) => storage.entries(lo, hi, max),
    snapshot: () => storage.snapshot(),
    append: (batch: Batch) => storage.persist(batch),
    saveSnapshot: () => Promise.resolve(),
  };
  const runner = new RaftRunner({
    id: "a",
    node: new RaftNode({ id: "a", random: new SeededRandom(1), applied: 1 }, log),
    log,
    transport: { send: () => {}, setPeers: () => {} },
    machine: {
      apply: (_, data) => void (data.length > 0 && applied.push(new TextDecoder().decode(data))),
      restore: () => {},
      snapshot: () => Promise.resolve({ index: 0, data: new Uint8Array() }),
    },
    events: {
      onLeadership: () => {},
      onMembers: () => {},
      onRegression: () => {},
      onFailure: (error) => failures.push(error),
    },
    clock,
    logger: silentLogger,
    defer: (fn) => queueMicrotask(fn),
    tickMs: 100,
    snapshotInterval: () => 1_000,
    entriesForSlowFollowers: () => 500,
  });
  return { runner, storage, applied, failures, advance };
}

const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a full disk refuses proposals, keeps what was decided, and goes on when there is room", async () => {
  const { runner, storage, applied, failures, advance } = single();
  runner.start();
  runner.campaign();
  await settle();
  await runner.propose(bytes("one"));
  storage.full = true;
  await assert.rejects(runner.propose(bytes("two")), {
    kind: "unavailable",
    message: /no space left/,
  });
  await assert.rejects(runner.propose(bytes("three")), {
    kind: "unavailable",
    message: /no space left/,
  });
  advance(5_000);
  await settle();
  storage.full = false;
  advance(5_000);
  await settle();
  await runner.propose(bytes("four"));
  // What was on its way when the disk filled up had a place in the log: its outcome was unknown, not no.
  assert.deepEqual(applied, ["one", "two", "four"]);
  assert.deepEqual(failures, []);
  runner.stop();
});

Deno.test("a log that cannot be trusted stops the manager", async () => {
  const { runner, storage, failures } = single();
  runner.start();
  runner.campaign();
  await settle();
  storage.persist = () => {
    throw new FleetError("corrupt", "raft.db is damaged");
  };
  await assert.rejects(runner.propose(bytes("x")), { kind: "unavailable" });
  assert.equal(failures.length, 1);
});
