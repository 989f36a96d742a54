import type { ConfState, Entry, EntryType, HardState, Snapshot } from "../../core/raft/types.ts";
import type { SnapshotMeta } from "../../core/raft/types.ts";
import type { RecordKeys } from "../crypto/record_keys.ts";
import type { Database } from "./database.ts";
import type { RaftSchema } from "./schema.ts";

/** Snapshots are stored in pieces of this size, so that writing one does not stop the heartbeats. */
export const PART_BYTES = 1024 * 1024;

/** What the row of `raft_state` says. */
export interface LogState {
  readonly hardState: HardState;
  readonly baseIndex: number;
  readonly baseTerm: number;
  readonly lastIndex: number;
  readonly writes: number;
}

export const EMPTY_LOG: LogState = {
  hardState: { term: 0, vote: "", commit: 0 },
  baseIndex: 0,
  baseTerm: 0,
  lastIndex: 0,
  writes: 0,
};

const NOTHING = new Uint8Array(0);
const MEMORY_PLACE = "record of the other members";

/**
 * The statements of a raft log, typed and built by Kysely, compiled once; and the sealing of each row to its
 * place. Opening a row that was changed, torn, moved or written with another key throws, naming it.
 */
export class RaftRows {
  readonly #keys: RecordKeys;
  readonly #insertEntry;
  readonly #selectEntries;
  readonly #cutFrom;
  readonly #cutBefore;
  readonly #saveState;
  readonly #loadState;
  readonly #insertSnapshot;
  readonly #loadSnapshot;
  readonly #dropSnapshot;
  readonly #insertPart;
  readonly #selectParts;
  readonly #dropParts;
  readonly #dropOtherParts;
  readonly #resealEntry;
  readonly #partsAfter;
  readonly #resealPart;
  readonly #saveMemory;
  readonly #loadMemory;

  constructor(database: Database<RaftSchema>, keys: RecordKeys) {
    this.#keys = keys;
    const { kysely: db } = database;
    // Values here only stand for places: they are given when a statement runs, in this order.
    this.#insertEntry = database.prepare(
      db.insertInto("raft_entry").values({ idx: 0, term: 0, type: "normal", record: NOTHING }),
    );
    this.#selectEntries = database.prepare(
      db.selectFrom("raft_entry").selectAll().where("idx", ">=", 0).orderBy("idx").limit(0),
    );
    this.#cutFrom = database.prepare(db.deleteFrom("raft_entry").where("idx", ">=", 0));
    this.#cutBefore = database.prepare(db.deleteFrom("raft_entry").where("idx", "<", 0));
    this.#saveState = database.prepare(
      db.replaceInto("raft_state").values({
        id: 1,
        term: 0,
        vote: "",
        commit_index: 0,
        base_index: 0,
        base_term: 0,
        last_index: 0,
        writes: 0,
        seal: NOTHING,
      }),
    );
    this.#loadState = database.prepare(db.selectFrom("raft_state").selectAll());
    this.#insertSnapshot = database.prepare(
      db.insertInto("raft_snapshot").values({ idx: 0, term: 0, conf: "", parts: 0, seal: NOTHING }),
    );
    this.#loadSnapshot = database.prepare(db.selectFrom("raft_snapshot").selectAll());
    this.#dropSnapshot = database.prepare(db.deleteFrom("raft_snapshot"));
    this.#insertPart = database.prepare(
      db.insertInto("raft_snapshot_part").values({ idx: 0, part: 0, record: NOTHING }),
    );
    this.#selectParts = database.prepare(
      db.selectFrom("raft_snapshot_part").select("record").where("idx", "=", 0).orderBy("part"),
    );
    this.#dropParts = database.prepare(db.deleteFrom("raft_snapshot_part").where("idx", "=", 0));
    this.#dropOtherParts = database.prepare(
      db.deleteFrom("raft_snapshot_part").where("idx", "!=", 0),
    );
    this.#resealEntry = database.prepare(
      db.updateTable("raft_entry").set({ record: NOTHING }).where("idx", "=", 0),
    );
    this.#partsAfter = database.prepare(
      db.selectFrom("raft_snapshot_part").selectAll()
        .where((row) =>
          row.or([row("idx", ">", 0), row.and([row("idx", "=", 0), row("part", ">", 0)])])
        )
        .orderBy("idx").orderBy("part").limit(1),
    );
    this.#resealPart = database.prepare(
      db.updateTable("raft_snapshot_part").set({ record: NOTHING })
        .where("idx", "=", 0).where("part", "=", 0),
    );
    this.#saveMemory = database.prepare(
      db.replaceInto("raft_memory").values({ id: 1, record: NOTHING }),
    );
    this.#loadMemory = database.prepare(db.selectFrom("raft_memory").selectAll());
  }

  insertEntry({ index, term, type, data }: Entry): void {
    this.#insertEntry.run(
      index,
      term,
      type,
      this.#keys.seal(data, entryPlace(index, term, type)),
    );
  }

  /** Stored entries from `index` on, at most `limit`, in order. */
  *entries(index: number, limit: number): Generator<Entry> {
    for (const row of this.#selectEntries.iterate(index, limit)) {
      const { idx, term, type, record } = row as unknown as RaftSchema["raft_entry"];
      const data = this.#keys.open(record, entryPlace(idx, term, type as EntryType));
      yield { index: idx, term, type: type as EntryType, data };
    }
  }

  cutEntriesFrom(index: number): void {
    this.#cutFrom.run(index);
  }

  cutEntriesBefore(index: number): void {
    this.#cutBefore.run(index);
  }

  saveState(state: LogState): void {
    const { hardState: { term, vote, commit }, baseIndex, baseTerm, lastIndex, writes } = state;
    const sealed = this.#keys.seal(NOTHING, statePlace(state));
    this.#saveState.run(1, term, vote, commit, baseIndex, baseTerm, lastIndex, writes, sealed);
  }

  loadState(): LogState | undefined {
    const row = this.#loadState.get() as unknown as RaftSchema["raft_state"] | undefined;
    if (!row) return undefined;
    const state = {
      hardState: { term: row.term, vote: row.vote, commit: row.commit_index },
      baseIndex: row.base_index,
      baseTerm: row.base_term,
      lastIndex: row.last_index,
      writes: row.writes,
    };
    this.#keys.open(row.seal, statePlace(state));
    return state;
  }

  saveMemory(record: unknown): void {
    const bytes = new TextEncoder().encode(JSON.stringify(record));
    this.#saveMemory.run(1, this.#keys.seal(bytes, MEMORY_PLACE));
  }

  /** Undefined on a log that never had one. */
  loadMemory(): unknown {
    const row = this.#loadMemory.get() as unknown as RaftSchema["raft_memory"] | undefined;
    if (!row) return undefined;
    return JSON.parse(new TextDecoder().decode(this.#keys.open(row.record, MEMORY_PLACE)));
  }

  /** Makes the stored parts of `meta.index` the snapshot, in place of any other. */
  saveSnapshot(meta: SnapshotMeta, parts: number): void {
    const conf = JSON.stringify({ voters: meta.conf.voters, learners: meta.conf.learners });
    const sealed = this.#keys.seal(NOTHING, snapshotPlace(meta.index, meta.term, conf, parts));
    this.#dropSnapshot.run();
    this.#insertSnapshot.run(meta.index, meta.term, conf, parts, sealed);
  }

  savePart(index: number, part: number, data: Uint8Array): void {
    const piece = data.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
    this.#insertPart.run(index, part, this.#keys.seal(piece, partPlace(index, part)));
  }

  /** @throws when its parts are not all there */
  loadSnapshot(): Snapshot | undefined {
    const row = this.#loadSnapshot.get() as unknown as RaftSchema["raft_snapshot"] | undefined;
    if (!row) return undefined;
    this.#keys.open(row.seal, snapshotPlace(row.idx, row.term, row.conf, row.parts));
    const parts: Uint8Array[] = [];
    for (const each of this.#selectParts.iterate(row.idx)) {
      const { record } = each as unknown as { record: Uint8Array };
      parts.push(this.#keys.open(record, partPlace(row.idx, parts.length)));
    }
    if (parts.length !== row.parts) throw new MissingParts(row.idx, parts.length, row.parts);
    return {
      meta: { index: row.idx, term: row.term, conf: JSON.parse(row.conf) as ConfState },
      data: joined(parts),
    };
  }

  /** Seals at most `limit` entries from `index` on under the current key; the last one's index. */
  resealEntries(index: number, limit: number): number | undefined {
    let last: number | undefined;
    for (const entry of [...this.entries(index, limit)]) {
      const place = entryPlace(entry.index, entry.term, entry.type);
      this.#resealEntry.run(this.#keys.seal(entry.data, place), entry.index);
      last = entry.index;
    }
    return last;
  }

  /** Seals the part after the given one under the current key, of any snapshot; where it is. */
  resealPart(after: { index: number; part: number }): { index: number; part: number } | undefined {
    const row = this.#partsAfter.get(after.index, after.index, after.part, 1) as unknown as
      | RaftSchema["raft_snapshot_part"]
      | undefined;
    if (!row) return undefined;
    const place = partPlace(row.idx, row.part);
    const record = this.#keys.seal(this.#keys.open(row.record, place), place);
    this.#resealPart.run(record, row.idx, row.part);
    return { index: row.idx, part: row.part };
  }

  /** Seals under the current key what the snapshot's row says. */
  resealSnapshot(): void {
    const row = this.#loadSnapshot.get() as unknown as RaftSchema["raft_snapshot"] | undefined;
    if (!row) return;
    const place = snapshotPlace(row.idx, row.term, row.conf, row.parts);
    this.#keys.open(row.seal, place);
    this.#dropSnapshot.run();
    const sealed = this.#keys.seal(NOTHING, place);
    this.#insertSnapshot.run(row.idx, row.term, row.conf, row.parts, sealed);
  }

  dropParts(index: number): void {
    this.#dropParts.run(index);
  }

  /** Parts that belong to no snapshot, or to one that was replaced. */
  dropPartsExcept(index: number): void {
    this.#dropOtherParts.run(index);
  }
}

export class MissingParts extends Error {
  constructor(index: number, found: number, expected: number) {
    super(`the snapshot at entry ${index} has ${found} of ${expected} parts`);
  }
}

/** How many parts a snapshot has; an empty one has one, too. */
export function partsOf(data: Uint8Array): number {
  return Math.max(Math.ceil(data.length / PART_BYTES), 1);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function entryPlace(index: number, term: number, type: EntryType): string {
  return `raft log entry ${index} of term ${term} (${type})`;
}

function statePlace({ hardState, baseIndex, baseTerm, lastIndex, writes }: LogState): string {
  const { term, vote, commit } = hardState;
  return `raft state of term ${term} (vote ${vote || "none"}, commit ${commit}, entries ${
    baseIndex + 1
  } to ${lastIndex} after term ${baseTerm}, write ${writes})`;
}

function snapshotPlace(index: number, term: number, conf: string, parts: number): string {
  return `raft snapshot at entry ${index} of term ${term} in ${parts} parts with members ${conf}`;
}

function partPlace(index: number, part: number): string {
  return `part ${part} of the raft snapshot at entry ${index}`;
}
