import assert from "node:assert/strict";
import { RaftLog } from "./log.ts";
import { MemoryStorage } from "./memory_storage.ts";
import type { Entry } from "./types.ts";

const entry = (index: number, term: number, size = 0): Entry => ({
  index,
  term,
  type: "normal",
  data: new Uint8Array(size),
});
/** Entries from 1 on with these terms. */
const terms = (...list: number[]) => list.map((term, i) => entry(i + 1, term));

function logOf(stored: readonly Entry[], unstable: readonly Entry[] = [], commit = 0) {
  const storage = new MemoryStorage();
  storage.append(stored);
  const log = new RaftLog(storage, commit, 0);
  for (const e of unstable) log.append(e);
  return { log, storage };
}

function write(log: RaftLog, storage: MemoryStorage) {
  const { entries, snapshot } = log.beginWrite();
  if (snapshot) storage.applySnapshot(snapshot);
  storage.append(entries);
  log.acceptWritten();
}

Deno.test("merging keeps what matches, replaces what conflicts, ignores what is old (5.3)", () => {
  const cases: [own: number[], from: number, sent: number[], result: number[]][] = [
    [[1, 2, 2], 4, [], [1, 2, 2]],
    [[1, 2, 2], 2, [2, 2], [1, 2, 2]],
    [[1, 2, 2], 2, [2], [1, 2, 2]],
    [[1, 2, 2], 3, [3, 3], [1, 2, 3, 3]],
    [[1, 2, 2], 2, [4], [1, 4]],
    [[1, 2, 2], 4, [5, 6], [1, 2, 2, 5, 6]],
  ];
  for (const split of [0, 1, 2, 3]) {
    for (const [own, from, sent, result] of cases) {
      const all = terms(...own);
      const { log, storage } = logOf(all.slice(0, split), all.slice(split));
      log.merge(sent.map((term, i) => entry(from + i, term)));
      const got = [];
      for (let i = 1; i <= log.lastIndex(); i++) got.push(log.term(i));
      assert.deepEqual(got, result);
      write(log, storage);
      assert.equal(storage.lastIndex(), log.lastIndex());
      assert.equal(log.stable, log.lastIndex());
      assert.deepEqual(storage.entries(1, result.length + 1, 1e9).map((e) => e.term), result);
    }
  }
});

Deno.test("a committed entry is never replaced", () => {
  const { log } = logOf(terms(1, 1), [], 2);
  assert.throws(() => log.merge([entry(2, 2)]), /committed entry 2/);
});

Deno.test("what was truncated while it was written does not count as written", () => {
  const { log, storage } = logOf(terms(1), [entry(2, 1), entry(3, 1)]);
  const { entries } = log.beginWrite();
  log.merge([entry(3, 2)]);
  storage.append(entries);
  log.acceptWritten();
  assert.equal(log.stable, 2);
  assert.deepEqual(log.beginWrite().entries.map((e) => e.term), [2]);
});

Deno.test("slices cross from stored to unstable entries and obey the byte limit", () => {
  const { log } = logOf([entry(1, 1, 76), entry(2, 1, 76)], [entry(3, 1, 76), entry(4, 1, 76)]);
  const indexes = (bytes: number, lo = 1) => log.slice(lo, 5, bytes)?.map((e) => e.index);
  assert.deepEqual(indexes(1e9), [1, 2, 3, 4]);
  assert.deepEqual(indexes(300), [1, 2, 3]);
  assert.deepEqual(indexes(299), [1, 2]);
  assert.deepEqual(indexes(0), [1]);
  assert.deepEqual(indexes(0, 4), [4]);
});

Deno.test("compacted entries are gone, their end keeps its term", () => {
  const { log, storage } = logOf(terms(1, 1, 2, 2), [], 4);
  log.beginWrite();
  log.beginApply(1e9);
  log.acceptWritten();
  log.acceptApplied();
  storage.createSnapshot(3, { voters: ["a"], learners: [] }, new Uint8Array());
  storage.compact(3);
  assert.equal(log.firstIndex(), 4);
  assert.equal(log.slice(3, 5, 1e9), undefined);
  assert.equal(log.term(3), 2);
  assert.equal(log.term(2), undefined);
});

Deno.test("a snapshot replaces the log and is applied before what follows it", () => {
  const { log, storage } = logOf(terms(1, 1), [entry(3, 1)]);
  log.restore({
    meta: { index: 9, term: 4, conf: { voters: ["a"], learners: [] } },
    data: new Uint8Array(),
  });
  log.append(entry(10, 4));
  log.commitTo(10);
  assert.equal(log.term(9), 4);
  assert.equal(log.term(2), undefined);
  const { entries, snapshot } = log.beginWrite();
  assert.deepEqual(log.beginApply(1e9).map((e) => e.index), [10]);
  storage.applySnapshot(snapshot!);
  storage.append(entries);
  log.acceptWritten();
  assert.equal(storage.lastIndex(), 10);
  assert.equal(log.stable, 10);
});

Deno.test("the search for the place of agreement skips whole terms", () => {
  const { log } = logOf(terms(1, 1, 1, 4, 4, 5, 5, 5));
  assert.deepEqual(log.findConflictByTerm(8, 4), { index: 5, term: 4 });
  assert.deepEqual(log.findConflictByTerm(8, 3), { index: 3, term: 1 });
  assert.deepEqual(log.findConflictByTerm(20, 9), { index: 8, term: 5 });
  assert.deepEqual(log.findConflictByTerm(5, 0), { index: 0, term: 0 });
});
