import type { StatementSync } from "node:sqlite";
import { FleetError } from "../../base/errors.ts";
import type {
  ConfState,
  Entry,
  EntryType,
  HardState,
  RaftLogStorage,
  Snapshot,
} from "../../core/raft/types.ts";
import { open, seal } from "../crypto/sealing.ts";
import { guarded, openDatabase } from "./database.ts";
import type { Database } from "./database.ts";

/** Entries kept decoded in memory; older ones are read and opened again. */
const MAX_CACHED = 20_000;

interface EntryRow {
  idx: number;
  term: number;
  type: EntryType;
  record: Uint8Array;
}

/**
 * The raft log, hard state and newest snapshot on disk, every record encrypted and bound to its place.
 * One `append` is one transaction and one fsync. Reads are synchronous, as the core wants them.
 */
export class RaftLogStore implements RaftLogStorage {
  readonly #path: string;
  readonly #database: Database;
  readonly #key: Uint8Array;
  readonly #insert: StatementSync;
  readonly #truncate: StatementSync;
  readonly #saveState: StatementSync;
  readonly #select: StatementSync;
  /** Entries from `#first` on, without gap; holes at the front were evicted. */
  #cache: (Entry | undefined)[] = [];
  #first = 1;
  #terms: number[] = [];
  #hardState: HardState = { term: 0, vote: "", commit: 0 };
  #snapshot: Snapshot | undefined;

  /** @throws FleetError corrupt, naming the record that cannot be trusted */
  static open(path: string, key: Uint8Array): RaftLogStore {
    return new RaftLogStore(path, openDatabase(path), key);
  }

  private constructor(path: string, database: Database, key: Uint8Array) {
    this.#path = path;
    this.#database = database;
    this.#key = key;
    const { raw } = database;
    this.#insert = raw.prepare(
      "INSERT INTO raft_entry (idx, term, type, record) VALUES (?, ?, ?, ?)",
    );
    this.#truncate = raw.prepare("DELETE FROM raft_entry WHERE idx >= ?");
    this.#saveState = raw.prepare(
      "INSERT OR REPLACE INTO raft_state (id, term, vote, commit_index) VALUES (1, ?, ?, ?)",
    );
    this.#select = raw.prepare(
      "SELECT idx, term, type, record FROM raft_entry WHERE idx >= ? AND idx < ? ORDER BY idx",
    );
    try {
      guarded(path, () => this.#load());
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #load(): void {
    const { raw } = this.#database;
    const state = raw.prepare("SELECT term, vote, commit_index FROM raft_state WHERE id = 1")
      .get() as
        | { term: number; vote: string; commit_index: number }
        | undefined;
    if (state) this.#hardState = { term: state.term, vote: state.vote, commit: state.commit_index };
    const row = raw.prepare(
      "SELECT idx, term, conf, record FROM raft_snapshot ORDER BY idx DESC LIMIT 1",
    ).get() as
      | { idx: number; term: number; conf: string; record: Uint8Array }
      | undefined;
    if (row) {
      const data = open(this.#key, row.record, snapshotContext(row.idx, row.term, row.conf));
      this.#snapshot = {
        meta: { index: row.idx, term: row.term, conf: JSON.parse(row.conf) as ConfState },
        data,
      };
    }
    const base = this.#snapshot?.meta.index ?? 0;
    const rows = raw.prepare("SELECT idx, term, type, record FROM raft_entry ORDER BY idx")
      .all() as unknown as EntryRow[];
    this.#first = rows[0]?.idx ?? base + 1;
    if (this.#first > base + 1) {
      throw new FleetError(
        "corrupt",
        `${this.#path}: entries ${base + 1} to ${
          this.#first - 1
        } are missing; restore it from a backup, or leave and join again`,
      );
    }
    for (const [i, entry] of rows.entries()) {
      if (entry.idx !== this.#first + i) {
        throw new FleetError(
          "corrupt",
          `${this.#path}: entry ${
            this.#first + i
          } is missing; restore it from a backup, or leave and join again`,
        );
      }
      this.#cache.push(this.#decode(entry));
      this.#terms.push(entry.term);
    }
    this.#evict();
    if (this.lastIndex() < this.#hardState.commit) {
      throw new FleetError(
        "corrupt",
        `${this.#path}: the log ends at entry ${this.lastIndex()}, but entry ${this.#hardState.commit} was committed; restore it from a backup, or leave and join again`,
      );
    }
  }

  #decode(row: EntryRow): Entry {
    const data = open(this.#key, row.record, entryContext(row.idx, row.term, row.type));
    return { index: row.idx, term: row.term, type: row.type, data };
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    return {
      hardState: this.#hardState,
      conf: this.#snapshot?.meta.conf ?? { voters: [], learners: [] },
    };
  }

  firstIndex(): number {
    return this.#first;
  }

  lastIndex(): number {
    return this.#first + this.#terms.length - 1;
  }

  term(index: number): number | undefined {
    if (index === this.#snapshot?.meta.index) return this.#snapshot.meta.term;
    if (index === this.#first - 1) return index === 0 ? 0 : this.#baseTerm;
    return this.#terms[index - this.#first];
  }

  /** Term of the entry before the first one, kept when a snapshot leaves entries behind. */
  #baseTerm: number | undefined;

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    const out: Entry[] = [];
    let bytes = 0;
    for (let index = lo; index < hi; index++) {
      const entry = this.#cache[index - this.#first] ?? this.#read(index);
      bytes += entry.data.length;
      if (out.length > 0 && bytes > maxBytes) break;
      out.push(entry);
    }
    return out;
  }

  #read(index: number): Entry {
    const row = guarded(this.#path, () => this.#select.get(index, index + 1)) as unknown as
      | EntryRow
      | undefined;
    if (!row) throw new FleetError("corrupt", `${this.#path}: entry ${index} is missing`);
    return this.#decode(row);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Makes everything of one round durable, all or nothing. */
  append(batch: {
    readonly entries: readonly Entry[];
    readonly hardState: HardState | undefined;
    readonly snapshot: Snapshot | undefined;
  }): void {
    this.#transaction(() => {
      if (batch.snapshot) {
        this.#writeSnapshot(batch.snapshot);
        this.#truncate.run(0);
      }
      const first = batch.entries[0];
      if (first && first.index <= this.lastIndex() && !batch.snapshot) {
        this.#truncate.run(first.index);
      }
      for (const { index, term, type, data } of batch.entries) {
        this.#insert.run(index, term, type, seal(this.#key, data, entryContext(index, term, type)));
      }
      if (batch.hardState) {
        const { term, vote, commit } = batch.hardState;
        this.#saveState.run(term, vote, commit);
      }
    });
    if (batch.snapshot) {
      this.#snapshot = batch.snapshot;
      this.#first = batch.snapshot.meta.index + 1;
      this.#baseTerm = batch.snapshot.meta.term;
      this.#cache = [];
      this.#terms = [];
    }
    const first = batch.entries[0];
    if (first) {
      this.#cache.length = first.index - this.#first;
      this.#terms.length = first.index - this.#first;
      for (const entry of batch.entries) {
        this.#cache.push(entry);
        this.#terms.push(entry.term);
      }
      this.#evict();
    }
    if (batch.hardState) this.#hardState = batch.hardState;
  }

  /** Stores a snapshot of the applied state and forgets the entries before `keepFrom`. */
  saveSnapshot(snapshot: Snapshot, keepFrom: number): void {
    const from = Math.max(this.#first, Math.min(keepFrom, snapshot.meta.index + 1));
    const baseTerm = this.term(from - 1);
    this.#transaction(() => {
      this.#writeSnapshot(snapshot);
      this.#database.raw.prepare("DELETE FROM raft_entry WHERE idx < ?").run(from);
    });
    this.#cache.splice(0, from - this.#first);
    this.#terms.splice(0, from - this.#first);
    this.#baseTerm = baseTerm;
    this.#first = from;
    this.#snapshot = snapshot;
  }

  #writeSnapshot({ meta, data }: Snapshot): void {
    const conf = JSON.stringify(meta.conf);
    const { raw } = this.#database;
    raw.prepare("DELETE FROM raft_snapshot").run();
    raw.prepare("INSERT INTO raft_snapshot (idx, term, conf, record) VALUES (?, ?, ?, ?)")
      .run(
        meta.index,
        meta.term,
        conf,
        seal(this.#key, data, snapshotContext(meta.index, meta.term, conf)),
      );
  }

  #transaction(run: () => void): void {
    guarded(this.#path, () => {
      const { raw } = this.#database;
      raw.exec("BEGIN IMMEDIATE");
      try {
        run();
        raw.exec("COMMIT");
      } catch (error) {
        try {
          raw.exec("ROLLBACK");
        } catch {
          // SQLite has rolled back by itself on a full disk.
        }
        throw error;
      }
    });
  }

  /** Keeps memory bounded: old entries are asked for only by slow followers. */
  #evict(): void {
    for (let i = this.#cache.length - MAX_CACHED - 1; i >= 0 && this.#cache[i]; i--) {
      this.#cache[i] = undefined;
    }
  }

  close(): void {
    this.#database.close();
  }
}

function entryContext(index: number, term: number, type: string): string {
  return `raft log entry ${index} of term ${term} (${type})`;
}

function snapshotContext(index: number, term: number, conf: string): string {
  return `raft snapshot at entry ${index} of term ${term} with members ${conf}`;
}
