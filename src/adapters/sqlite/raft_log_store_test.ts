import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import type { Entry } from "../../core/raft/types.ts";
import { RaftLogStore } from "./raft_log_store.ts";

const KEY = new Uint8Array(32).fill(7);
const entry = (index: number, term: number, text = `data ${index}`): Entry => ({
  index,
  term,
  type: "normal",
  data: new TextEncoder().encode(text),
});
const append = (log: RaftLogStore, entries: Entry[], commit = 0) =>
  log.append({
    entries,
    hardState: { term: entries.at(-1)?.term ?? 1, vote: "a", commit },
    snapshot: undefined,
  });

async function withPath(run: (path: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    run(`${folder}/raft.db`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("what was appended is there after a restart, and unreadable without the key", () =>
  withPath((path) => {
    const log = RaftLogStore.open(path, KEY);
    append(log, [entry(1, 1, "a secret word"), entry(2, 1)], 1);
    log.close();
    assert.ok(!new TextDecoder().decode(Deno.readFileSync(path)).includes("a secret word"));
    const again = RaftLogStore.open(path, KEY);
    assert.deepEqual(again.entries(1, 3, 1e6), [entry(1, 1, "a secret word"), entry(2, 1)]);
    assert.deepEqual(again.initialState().hardState, { term: 1, vote: "a", commit: 1 });
    again.close();
    assert.throws(() => RaftLogStore.open(path, new Uint8Array(32)), {
      kind: "corrupt",
      message: /entry 1/,
    });
  }));

Deno.test("a conflicting suffix is replaced", () =>
  withPath((path) => {
    const log = RaftLogStore.open(path, KEY);
    append(log, [entry(1, 1), entry(2, 1), entry(3, 1)]);
    append(log, [entry(2, 2, "new")]);
    assert.equal(log.lastIndex(), 2);
    log.close();
    const again = RaftLogStore.open(path, KEY);
    assert.deepEqual(again.entries(1, 3, 1e6), [entry(1, 1), entry(2, 2, "new")]);
    again.close();
  }));

Deno.test("a snapshot takes the place of old entries and keeps some for slow followers", () =>
  withPath((path) => {
    const log = RaftLogStore.open(path, KEY);
    append(log, Array.from({ length: 10 }, (_, i) => entry(i + 1, 1)), 10);
    const snapshot = {
      meta: { index: 8, term: 1, conf: { voters: ["a"], learners: [] } },
      data: new Uint8Array([1]),
    };
    log.saveSnapshot(snapshot, 6);
    for (const current of [log, undefined]) {
      const it = current ?? RaftLogStore.open(path, KEY);
      assert.deepEqual([it.firstIndex(), it.lastIndex(), it.term(8), it.term(10)], [6, 10, 1, 1]);
      assert.deepEqual(it.snapshot(), snapshot);
      it.close();
    }
  }));

Deno.test("a changed record, a missing one and a cut tail are named", () =>
  withPath((path) => {
    const damage = (sql: string) => {
      Deno.removeSync(path);
      const log = RaftLogStore.open(path, KEY);
      append(log, [entry(1, 1), entry(2, 1), entry(3, 1)], 3);
      log.close();
      const raw = new DatabaseSync(path);
      raw.exec(sql);
      raw.close();
      return () => RaftLogStore.open(path, KEY);
    };
    Deno.writeTextFileSync(path, "");
    assert.throws(
      damage(
        "UPDATE raft_entry SET record = CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB) WHERE idx = 2",
      ),
      { kind: "corrupt", message: /entry 2 .*damaged/ },
    );
    assert.throws(damage("UPDATE raft_entry SET term = 9 WHERE idx = 2"), {
      kind: "corrupt",
      message: /entry 2/,
    });
    assert.throws(damage("DELETE FROM raft_entry WHERE idx = 2"), {
      kind: "corrupt",
      message: /entry 2 is missing/,
    });
    assert.throws(damage("DELETE FROM raft_entry WHERE idx = 3"), {
      kind: "corrupt",
      message: /entry 3 was committed/,
    });
    assert.throws(damage("PRAGMA user_version = 99"), { kind: "corrupt", message: /format 99/ });
    Deno.writeTextFileSync(path, "this is no database".repeat(100));
    assert.throws(() => RaftLogStore.open(path, KEY), { kind: "corrupt" });
  }));

Deno.test("random appends, cuts, snapshots and restarts equal a list in memory", async () => {
  const folder = await Deno.makeTempDir();
  let run = 0;
  try {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.record({
              op: fc.constant("append" as const),
              back: fc.nat(3),
              count: fc.integer({ min: 1, max: 4 }),
            }),
            fc.record({ op: fc.constant("snapshot" as const), keep: fc.nat(3) }),
            fc.record({ op: fc.constant("reopen" as const) }),
          ),
          { maxLength: 12 },
        ),
        (steps) => {
          const path = `${folder}/${run++}.db`;
          let log = RaftLogStore.open(path, KEY);
          let model: Entry[] = [];
          let base = 0;
          let term = 1;
          for (const step of steps) {
            const last = base + model.length;
            if (step.op === "append") {
              const from = Math.max(
                last + 1 - step.back,
                base + 1,
                (log.snapshot()?.meta.index ?? 0) + 1,
              );
              term++;
              const fresh = Array.from({ length: step.count }, (_, i) => entry(from + i, term));
              append(log, fresh);
              model = [...model.slice(0, from - base - 1), ...fresh];
            } else if (step.op === "snapshot" && model.length > 0) {
              const keepFrom = Math.max(base + 1, last + 1 - step.keep);
              log.saveSnapshot({
                meta: { index: last, term: model.at(-1)!.term, conf: { voters: [], learners: [] } },
                data: new Uint8Array(0),
              }, keepFrom);
              model = model.slice(keepFrom - base - 1);
              base = keepFrom - 1;
            } else if (step.op === "reopen") {
              log.close();
              log = RaftLogStore.open(path, KEY);
            }
            assert.equal(log.firstIndex(), base + 1);
            assert.equal(log.lastIndex(), base + model.length);
            assert.deepEqual(log.entries(base + 1, base + 1 + model.length, 1e9), model);
          }
          log.close();
        },
      ),
      { numRuns: 25 },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
