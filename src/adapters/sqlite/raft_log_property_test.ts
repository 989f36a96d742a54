import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStorage } from "../../core/raft/memory_storage.ts";
import type { Entry } from "../../core/raft/types.ts";
import { RaftLogStore } from "./raft_log_store.ts";
import { withFolder } from "./test_support.ts";

const KEY = new Uint8Array(32).fill(7);
const conf = { voters: ["a"], learners: [] };
const STEP = fc.oneof(
  fc.record({
    op: fc.constant("append" as const),
    back: fc.nat(4),
    size: fc.nat(300),
    n: fc.nat(5),
  }),
  fc.record({ op: fc.constant("commit" as const), share: fc.nat(100) }),
  fc.record({ op: fc.constant("snapshot" as const), keep: fc.nat(4) }),
  fc.record({ op: fc.constant("receive" as const), ahead: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ op: fc.constant("reopen" as const) }),
);

/** Both answer every question of {@link RaftLogStorage} alike. */
function compare(disk: RaftLogStore, twin: MemoryStorage): void {
  const [first, last] = [twin.firstIndex(), twin.lastIndex()];
  assert.deepEqual([disk.firstIndex(), disk.lastIndex()], [first, last]);
  for (let i = first - 2; i <= last + 1; i++) assert.equal(disk.term(i), twin.term(i), `term ${i}`);
  for (const maxBytes of [0, 150, 1e9]) {
    assert.deepEqual(
      disk.entries(first, last + 1, maxBytes),
      twin.entries(first, last + 1, maxBytes),
    );
  }
  assert.deepEqual(disk.initialState().hardState, twin.initialState().hardState);
  assert.deepEqual(disk.snapshot(), twin.snapshot());
}

Deno.test("random appends, cuts, snapshots, compactions and restarts equal the twin in memory", () =>
  withFolder(async (folder) => {
    let run = 0;
    const property = fc.asyncProperty(fc.array(STEP, { maxLength: 14 }), async (steps) => {
      const path = `${folder}/${run++}.db`;
      let disk = RaftLogStore.create(path, KEY);
      const twin = new MemoryStorage();
      let [term, commit] = [1, 0];
      const state = () => ({ term, vote: "a", commit });
      try {
        for (const step of steps) {
          const last = twin.lastIndex();
          if (step.op === "append") {
            const from = Math.max(last + 1 - step.back, commit + 1, twin.firstIndex());
            term++;
            const entries: Entry[] = Array.from({ length: step.n }, (_, i) => ({
              index: from + i,
              term,
              type: i === 2 ? "conf" as const : "normal" as const,
              data: new Uint8Array(step.size).fill(i),
            }));
            disk.append({ entries, hardState: state(), snapshot: undefined });
            twin.append(entries);
            twin.setHardState(state());
          } else if (step.op === "commit") {
            commit = Math.max(commit, Math.floor(last * step.share / 100));
            disk.append({ entries: [], hardState: state(), snapshot: undefined, mustSync: false });
            twin.setHardState(state());
          } else if (step.op === "snapshot" && commit > (twin.snapshot()?.meta.index ?? 0)) {
            const keepFrom = Math.max(twin.firstIndex(), commit + 1 - step.keep);
            const snapshot = twin.createSnapshot(commit, conf, new Uint8Array([commit]));
            await disk.saveSnapshot(snapshot, keepFrom);
            twin.compact(keepFrom - 1);
          } else if (step.op === "receive") {
            commit = last + step.ahead;
            term++;
            const snapshot = { meta: { index: commit, term, conf }, data: new Uint8Array(7) };
            disk.append({ entries: [], hardState: state(), snapshot });
            twin.applySnapshot(snapshot);
            twin.setHardState(state());
          } else if (step.op === "reopen") {
            disk.close();
            disk = RaftLogStore.open(path, KEY, { recentMaxBytes: 400 });
          }
          compare(disk, twin);
        }
      } finally {
        disk.close();
      }
    });
    await fc.assert(property, { numRuns: 40 });
  }));
