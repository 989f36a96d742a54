import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Entry, Snapshot } from "../../core/raft/types.ts";
import { RaftLogStore } from "./raft_log_store.ts";
import { PART_BYTES } from "./raft_rows.ts";
import { withFolder } from "./test_support.ts";
import { WriteMark } from "./write_mark.ts";

const KEY = new Uint8Array(32).fill(7);
const bytes = (text: string) => new TextEncoder().encode(text);
const entry = (index: number, term: number, text = `data ${index}`): Entry => ({
  index,
  term,
  type: "normal",
  data: bytes(text),
});
const range = (first: number, last: number, term = 1) =>
  Array.from({ length: last - first + 1 }, (_, i) => entry(first + i, term));
const append = (log: RaftLogStore, entries: Entry[], commit = 0) =>
  log.append({
    entries,
    hardState: { term: entries.at(-1)?.term ?? 1, vote: "a", commit },
    snapshot: undefined,
  });
const snapshotAt = (index: number, term = 1, data = bytes("state")): Snapshot => ({
  meta: { index, term, conf: { voters: ["a"], learners: ["b"] } },
  data,
});
const all = (log: RaftLogStore) => log.entries(log.firstIndex(), log.lastIndex() + 1, 1e9);

Deno.test("what was appended is there after a restart, and unreadable without the key", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    const log = RaftLogStore.create(path, KEY);
    append(log, [entry(1, 1, "a secret word"), entry(2, 1)], 1);
    const wal = new TextDecoder().decode(Deno.readFileSync(`${path}-wal`));
    assert.ok(wal.length > 1_000 && !wal.includes("a secret word"));
    log.close();
    assert.ok(!new TextDecoder().decode(Deno.readFileSync(path)).includes("a secret word"));
    const again = RaftLogStore.open(path, KEY);
    assert.deepEqual(all(again), [entry(1, 1, "a secret word"), entry(2, 1)]);
    assert.deepEqual(again.initialState().hardState, { term: 1, vote: "a", commit: 1 });
    again.close();
    assert.throws(() => RaftLogStore.open(path, new Uint8Array(32)), {
      kind: "corrupt",
      message: /raft state .* written with another key/,
    });
  }));

Deno.test("a log is made once and opened only where it is", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    assert.throws(() => RaftLogStore.open(path, KEY), {
      kind: "corrupt",
      message: /raft\.db is missing; restore/,
    });
    const log = RaftLogStore.create(path, KEY);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.throws(() => RaftLogStore.create(path, KEY), { kind: "conflict" });
    assert.throws(() => RaftLogStore.open(path, KEY), {
      kind: "conflict",
      message: /in use by another process/,
    });
    log.close();
    RaftLogStore.remove(path);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("a conflicting suffix is replaced", () =>
  withFolder((folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 3));
    append(log, [entry(2, 2, "new")]);
    assert.equal(log.lastIndex(), 2);
    log.close();
    const again = RaftLogStore.open(`${folder}/raft.db`, KEY);
    assert.deepEqual(all(again), [entry(1, 1), entry(2, 2, "new")]);
    again.close();
  }));

Deno.test("a snapshot takes the place of old entries and keeps some for slow followers", () =>
  withFolder(async (folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 10), 10);
    await log.saveSnapshot(snapshotAt(8), 6);
    const check = (it: RaftLogStore) => {
      assert.deepEqual([it.firstIndex(), it.lastIndex()], [6, 10]);
      assert.deepEqual([4, 5, 8, 10, 11].map((i) => it.term(i)), [undefined, 1, 1, 1, undefined]);
      assert.deepEqual(it.snapshot(), snapshotAt(8));
      it.close();
    };
    check(log);
    check(RaftLogStore.open(`${folder}/raft.db`, KEY));
  }));

Deno.test("a received snapshot replaces the log, and entries behind it follow", () =>
  withFolder((folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 4));
    const received = snapshotAt(9, 3, new Uint8Array(2 * PART_BYTES + 5).map((_, i) => i % 251));
    log.append({
      snapshot: received,
      entries: [entry(10, 3)],
      hardState: { term: 3, vote: "", commit: 9 },
    });
    const check = (it: RaftLogStore) => {
      assert.deepEqual([it.firstIndex(), it.lastIndex(), it.term(9)], [10, 10, 3]);
      assert.deepEqual(it.snapshot(), received);
      assert.deepEqual(it.initialState(), {
        hardState: { term: 3, vote: "", commit: 9 },
        conf: { voters: ["a"], learners: ["b"] },
      });
      it.close();
    };
    check(log);
    check(RaftLogStore.open(`${folder}/raft.db`, KEY));
  }));

Deno.test("a large snapshot is written between appends, and compaction goes in steps", () =>
  withFolder(async (folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 2_500), 2_500);
    const large = snapshotAt(2_500, 1, new Uint8Array(5 * PART_BYTES).fill(3));
    let finished = false;
    const saving = log.saveSnapshot(large, 2_401).finally(() => finished = true);
    assert.equal(log.snapshot(), undefined);
    let next = 2_501;
    while (!finished) {
      append(log, [entry(next, 1)], next);
      next++;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await saving;
    assert.ok(next > 2_505);
    assert.deepEqual([log.firstIndex(), log.lastIndex()], [2_401, next - 1]);
    log.close();
    const again = RaftLogStore.open(`${folder}/raft.db`, KEY);
    assert.deepEqual(again.snapshot(), large);
    assert.deepEqual(all(again), range(2_401, next - 1));
    again.close();
  }));

Deno.test("a snapshot that was cut short by the end of the process leaves the one before", () =>
  withFolder(async (folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 5), 5);
    await log.saveSnapshot(snapshotAt(3), 1);
    const cut = log.saveSnapshot(snapshotAt(5, 1, new Uint8Array(3 * PART_BYTES)), 6);
    log.close();
    await cut;
    const again = RaftLogStore.open(`${folder}/raft.db`, KEY);
    assert.deepEqual(again.snapshot(), snapshotAt(3));
    assert.deepEqual(all(again), range(1, 5));
    await again.saveSnapshot(snapshotAt(5), 6);
    again.close();
    const raw = new DatabaseSync(`${folder}/raft.db`);
    assert.deepEqual(
      raw.prepare("SELECT idx, part FROM raft_snapshot_part").all().map((row) => ({ ...row })),
      [{ idx: 3, part: 0 }, { idx: 5, part: 0 }],
    );
    raw.close();
  }));

Deno.test("a snapshot from the leader overtakes one that is being written", () =>
  withFolder(async (folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 5), 5);
    const own = log.saveSnapshot(snapshotAt(5, 1, new Uint8Array(3 * PART_BYTES)), 6);
    log.append({ snapshot: snapshotAt(9, 2), entries: [], hardState: undefined });
    await own;
    assert.deepEqual([log.firstIndex(), log.snapshot()], [10, snapshotAt(9, 2)]);
    log.close();
    const again = RaftLogStore.open(`${folder}/raft.db`, KEY);
    assert.deepEqual(again.snapshot(), snapshotAt(9, 2));
    again.close();
  }));

Deno.test("a moved commit index alone waits for the next write, and for the close", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    const log = RaftLogStore.create(path, KEY);
    append(log, range(1, 3), 0);
    const size = () => Deno.statSync(`${path}-wal`).size;
    const before = size();
    log.append({
      entries: [],
      hardState: { term: 1, vote: "a", commit: 2 },
      snapshot: undefined,
      mustSync: false,
    });
    assert.equal(size(), before);
    assert.equal(log.initialState().hardState.commit, 2);
    log.close();
    const again = RaftLogStore.open(path, KEY);
    assert.equal(again.initialState().hardState.commit, 2);
    again.close();
  }));

Deno.test("entries that memory does not hold any more come from disk, with the same cuts", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    const [bounded, whole] = [RaftLogStore.create(path, KEY), range(1, 300)];
    append(bounded, whole);
    bounded.close();
    const log = RaftLogStore.open(path, KEY, { recentMaxBytes: 1_000 });
    assert.deepEqual(all(log), whole);
    for (const maxBytes of [0, 1, 100, 999, 5_000]) {
      for (const lo of [1, 63, 64, 65, 250, 280, 300]) {
        let size = 0;
        const expected = whole.slice(lo - 1).filter((each, i) =>
          (size += each.data.length + 24) <= maxBytes || i === 0
        );
        assert.deepEqual(log.entries(lo, 301, maxBytes), expected);
      }
    }
    log.close();
  }));

Deno.test("broken invariants of the caller assert and change nothing", () =>
  withFolder(async (folder) => {
    const log = RaftLogStore.create(`${folder}/raft.db`, KEY);
    append(log, range(1, 5), 5);
    await log.saveSnapshot(snapshotAt(3), 4);
    assert.throws(() => append(log, [entry(7, 1)]), /gap before entry 7/);
    assert.throws(() => append(log, [entry(3, 1)]), /entry 3 is compacted/);
    assert.throws(() => append(log, [entry(6, 1), entry(8, 1)]), /entry 8 is not the next/);
    assert.throws(() => log.entries(3, 4, 1), /entry 3 is compacted/);
    assert.throws(() => log.entries(5, 7, 1), /entry 6 is beyond/);
    assert.deepEqual(all(log), range(4, 5));
    log.close();
  }));

Deno.test("what was changed, torn or lost is named", () =>
  withFolder(async (folder) => {
    const path = `${folder}/raft.db`;
    const make = async () => {
      RaftLogStore.remove(path);
      const log = RaftLogStore.create(path, KEY);
      append(log, range(1, 6), 5);
      await log.saveSnapshot(snapshotAt(4, 1, new Uint8Array(PART_BYTES + 1)), 3);
      log.close();
    };
    const damage = async (sql: string, message: RegExp) => {
      await make();
      const raw = new DatabaseSync(path);
      raw.exec(sql);
      raw.close();
      assert.throws(() => RaftLogStore.open(path, KEY), { kind: "corrupt", message }, sql);
    };
    const wayOut = "; restore the data directory from a backup, or run fleet leave --force";
    const flip = "CAST(substr(record, 1, length(record) - 1) || x'00' AS BLOB)";
    await damage(
      `UPDATE raft_entry SET record = ${flip} WHERE idx = 5`,
      new RegExp(
        `^${path} is damaged: raft log entry 5 of term 1 \\(normal\\) is damaged or .*${wayOut}`,
      ),
    );
    await damage("UPDATE raft_entry SET record = x'' WHERE idx = 5", /entry 5 .* too short/);
    await damage("UPDATE raft_entry SET term = 9 WHERE idx = 5", /entry 5 of term 9/);
    await damage("UPDATE raft_entry SET type = 'conf' WHERE idx = 5", /entry 5 of term 1 \(conf\)/);
    await damage(
      "UPDATE raft_entry SET record = (SELECT record FROM raft_entry WHERE idx = 4) WHERE idx = 5",
      /entry 5 .*damaged/,
    );
    await damage("DELETE FROM raft_entry WHERE idx = 4", /entry 4 is missing/);
    await damage("DELETE FROM raft_entry WHERE idx = 6", /entry 6 is missing/);
    await damage("DELETE FROM raft_entry WHERE idx < 5", /entries 3 to 4 are missing/);
    await damage("DELETE FROM raft_entry", /entries 3 to 6 are missing/);
    await damage("UPDATE raft_entry SET idx = 7 WHERE idx = 6", /entry 7 .*damaged|6 is missing/);
    await damage("DELETE FROM raft_state", /raft state is missing/);
    for (
      const column of ["term", "commit_index", "base_index", "base_term", "last_index", "writes"]
    ) {
      await damage(
        `UPDATE raft_state SET ${column} = ${column} + 1`,
        /raft state of term .*damaged/,
      );
    }
    await damage("UPDATE raft_state SET vote = 'b'", /raft state of term/);
    await damage(
      "DELETE FROM raft_snapshot",
      /snapshot that replaced the entries up to 2 is missing/,
    );
    await damage("UPDATE raft_snapshot SET term = 2", /raft snapshot at entry 4 of term 2/);
    await damage(`UPDATE raft_snapshot SET conf = '{"voters":["x"]}'`, /members .*x.*damaged/);
    await damage("DELETE FROM raft_snapshot_part WHERE part = 1", /has 1 of 2 parts/);
    await damage("DELETE FROM raft_snapshot_part", /has 0 of 2 parts/);
    await damage(
      "UPDATE raft_snapshot_part SET part = 1 - part WHERE part = 9; " +
        `UPDATE raft_snapshot_part SET record = ${flip} WHERE part = 1`,
      /part 1 of the raft snapshot at entry 4/,
    );
    await damage("PRAGMA user_version = 99", /format 99.*formats up to 2: run the version/);
    await damage("PRAGMA application_id = 5", /is not a raft log/);
    const spoil = async (change: () => void, message: RegExp) => {
      await make();
      change();
      assert.throws(() => RaftLogStore.open(path, KEY), { kind: "corrupt", message });
    };
    await spoil(() => Deno.writeTextFileSync(path, ""), /raft\.db is empty/);
    await spoil(() => Deno.writeTextFileSync(path, "no database".repeat(999)), /is damaged/);
    await spoil(() => Deno.truncateSync(path, 20_000), /is damaged/);
    await spoil(() => {
      const middle = Deno.readFileSync(path);
      middle.fill(0x55, 8_192, 12_288);
      Deno.writeFileSync(path, middle);
    }, /is damaged/);
  }));

/** Copies the files of a running log, as if the machine had stopped at this moment. */
function image(path: string, folder: string, name: string): string {
  const copy = `${folder}/${name}`;
  for (const suffix of ["", "-wal", "-mark"]) Deno.copyFileSync(path + suffix, copy + suffix);
  return copy;
}

Deno.test("a write-ahead log that was lost, cut or damaged is noticed", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    const log = RaftLogStore.create(path, KEY);
    append(log, range(1, 3), 3);
    for (let i = 4; i <= 20; i++) append(log, [entry(i, 1)], i);
    const good = RaftLogStore.open(image(path, folder, "good.db"), KEY);
    assert.deepEqual(all(good), range(1, 20));
    good.close();
    const older = { kind: "corrupt", message: /is older than .* confirmed \(write \d+ of 18\)/ };
    const lost = image(path, folder, "lost.db");
    Deno.removeSync(`${lost}-wal`);
    assert.throws(() => RaftLogStore.open(lost, KEY), older);
    const cut = image(path, folder, "cut.db");
    Deno.truncateSync(`${cut}-wal`, Deno.statSync(`${cut}-wal`).size - 5_000);
    assert.throws(() => RaftLogStore.open(cut, KEY), older);
    const changed = image(path, folder, "changed.db");
    const wal = Deno.readFileSync(`${changed}-wal`);
    wal[Math.floor(wal.length / 2)]! ^= 1;
    Deno.writeFileSync(`${changed}-wal`, wal);
    assert.throws(() => RaftLogStore.open(changed, KEY), older);
    // Only who says so loses what is missing.
    Deno.removeSync(WriteMark.pathOf(changed));
    const accepted = RaftLogStore.open(changed, KEY);
    assert.ok(accepted.lastIndex() < 20);
    accepted.close();
    log.close();
  }));

Deno.test("an old copy of the database does not pass for the present one", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    const log = RaftLogStore.create(path, KEY);
    append(log, range(1, 3), 3);
    log.close();
    const old = Deno.readFileSync(path);
    const again = RaftLogStore.open(path, KEY);
    append(again, range(4, 6), 6);
    again.close();
    Deno.writeFileSync(path, old);
    assert.throws(() => RaftLogStore.open(path, KEY), {
      kind: "corrupt",
      message: /an old copy was put in its place/,
    });
  }));

Deno.test("a mark that a power loss spoiled or held back does no harm", () =>
  withFolder((folder) => {
    const path = `${folder}/raft.db`;
    const log = RaftLogStore.create(path, KEY);
    append(log, range(1, 3), 3);
    log.close();
    for (const text of ["", "\0".repeat(21), "7", "00000000000000000000\n", "x".repeat(99)]) {
      Deno.writeTextFileSync(WriteMark.pathOf(path), text);
      const again = RaftLogStore.open(path, KEY);
      assert.deepEqual(all(again), range(1, 3));
      again.close();
    }
  }));
