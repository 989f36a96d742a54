import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { MemoryStorage } from "../../core/raft/memory_storage.ts";
import { RaftNode } from "../../core/raft/node.ts";
import type { Entry, HardState, Message, Snapshot } from "../../core/raft/types.ts";
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
  /** What reached the disk and what left, in order. */
  readonly happened: string[] = [];
  persist(batch: Batch): void {
    if (this.full) {
      throw new FleetError("unavailable", "no space left for raft.db: free some space");
    }
    this.happened.push(
      `disk: ${batch.entries.length} entries, vote ${batch.hardState?.vote || "-"}`,
    );
    this.appended.push(...batch.entries);
    if (batch.snapshot) this.applySnapshot(batch.snapshot);
    this.append(batch.entries);
    if (batch.hardState) this.setHardState(batch.hardState);
  }
}

function single(voters = ["a"], run = "first") {
  const storage = new TestLog();
  storage.applySnapshot({
    meta: { index: 1, term: 1, conf: { voters, learners: [] } },
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
  const sent: Message[] = [];
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
    run,
    node: new RaftNode({ id: "a", random: new SeededRandom(1), applied: 1 }, log),
    log,
    transport: {
      send: (messages) => {
        for (const { type, to } of messages) storage.happened.push(`${type} to ${to}`);
        sent.push(...messages);
      },
      setPeers: () => {},
    },
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
  return { runner, storage, sent, applied, failures, advance };
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

const append = (entries: number, term = 2): Message => ({
  type: "append",
  from: "b",
  to: "a",
  term,
  prevIndex: 1,
  prevTerm: 1,
  entries: Array.from({ length: entries }, (_, i) => ({
    index: 2 + i,
    term,
    type: "normal" as const,
    data: bytes(`entry ${i}`),
  })),
  commit: 1,
  expect: 0,
});

Deno.test("nothing that promises something leaves before the disk has it", async () => {
  const { runner, storage, advance } = single(["a", "b"]);
  runner.start();
  await settle();
  const vote = { lastIndex: 9, lastTerm: 2, force: false, expect: 0 };
  runner.step({ type: "vote", from: "b", to: "a", term: 2, ...vote });
  await settle();
  runner.step(append(3));
  await settle();
  assert.deepEqual(storage.happened, [
    "disk: 0 entries, vote b",
    "vote-reply to b",
    "disk: 3 entries, vote -",
    "append-reply to b",
  ]);
  // With a full disk nothing leaves at all, until it was written.
  storage.happened.length = 0;
  storage.full = true;
  runner.step({ type: "vote", from: "b", to: "a", term: 3, ...vote, force: true });
  await settle();
  assert.deepEqual(storage.happened, []);
  storage.full = false;
  advance(1_000);
  await settle();
  assert.deepEqual(storage.happened.slice(0, 2), ["disk: 0 entries, vote b", "vote-reply to b"]);
  runner.stop();
});

Deno.test("proposals of one burst share one write", async () => {
  const { runner, storage, applied } = single();
  runner.start();
  runner.campaign();
  await settle();
  storage.happened.length = 0;
  await Promise.all(Array.from({ length: 50 }, (_, i) => runner.propose(bytes(`${i}`))));
  assert.deepEqual(storage.happened.filter((what) => !what.includes(" 0 entries")), [
    "disk: 50 entries, vote -",
  ]);
  assert.equal(applied.length, 50);
  runner.stop();
});

Deno.test("who loses the lead in the middle of a change says that its outcome is not known", async () => {
  const { runner, storage } = single(["a", "b"]);
  runner.start();
  runner.campaign();
  await settle();
  const reply = { from: "b", to: "a", reject: false, expect: 0, commit: 1, commitTerm: 1 } as const;
  runner.step({ type: "pre-vote-reply", term: 2, ...reply });
  await settle();
  runner.step({ type: "vote-reply", term: 2, ...reply });
  await settle();
  assert.ok(runner.leading, storage.happened.join(", "));
  const proposed = runner.propose(bytes("x"));
  await settle();
  runner.step(append(0, 3));
  await settle();
  await assert.rejects(proposed, {
    kind: "unavailable",
    message: /lost the lead while the change was on its way; look before you try again/,
  });
  await assert.rejects(runner.propose(bytes("y")), { kind: "unavailable" });
  runner.stop();
});

Deno.test("an answer to a read of the process before is not taken for one to this process", async () => {
  const asked: string[] = [];
  for (const run of ["first", "second"]) {
    const { runner, sent, advance } = single(["a", "b"], run);
    runner.start();
    runner.step(append(0));
    await settle();
    let read = false;
    const barrier = runner.readBarrier(2_000).then(() => read = true);
    barrier.catch(() => {});
    await settle();
    const request = sent.findLast((message) => message.type === "read-index");
    assert.equal(request?.type, "read-index");
    const answer = (context: string): Message => ({
      type: "read-index-reply",
      from: "b",
      to: "a",
      term: 2,
      index: 1,
      context,
    });
    // The leader has just now confirmed what the process before had asked.
    for (const context of asked) runner.step(answer(context));
    await settle();
    assert.equal(read, false);
    asked.push(request.context);
    if (run === "first") {
      advance(2_000);
      await assert.rejects(barrier, { kind: "unavailable" });
    } else {
      runner.step(answer(request.context));
      await barrier;
    }
    runner.stop();
  }
});
