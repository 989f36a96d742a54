import { assert, must } from "../../base/assert.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import { entryBytes } from "../../core/raft/size.ts";
import type {
  ConfState,
  Entry,
  HardState,
  RaftLogStorage,
  Snapshot,
} from "../../core/raft/types.ts";
import { recordKeys } from "../crypto/record_keys.ts";
import type { RecordKeys } from "../crypto/record_keys.ts";
import { Database, removeDatabase } from "./database.ts";
import { EMPTY_LOG, MissingParts, partsOf, RaftRows } from "./raft_rows.ts";
import type { LogState } from "./raft_rows.ts";
import { RecentEntries } from "./recent_entries.ts";
import { RAFT_FORMAT } from "./schema.ts";
import type { RaftSchema } from "./schema.ts";
import { damaged } from "./sqlite_error.ts";
import { WriteMark } from "./write_mark.ts";

/** Old entries are read from disk so many at a time. */
const READ_ROWS = 64;
/** Old entries go in transactions of this size, so that dropping them does not stop the heartbeats. */
const COMPACT_ROWS = 1_000;

/** Records are sealed anew in transactions of this size, some milliseconds each. */
const RESEAL_ROWS = 200;

const NO_CONF: ConfState = { voters: [], learners: [] };

/** What one Ready makes durable. */
export interface LogBatch {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  readonly snapshot: Snapshot | undefined;
  /** False when only the commit index moved: it may wait for the next write. */
  readonly mustSync?: boolean;
}

/**
 * The raft log, hard state and newest snapshot on disk, every record encrypted and bound to its place.
 * One `append` is one transaction and one sync; when it throws, nothing has changed, on disk and in
 * memory. Reads are synchronous, as the core wants them; recent entries come from memory.
 */
export class RaftLogStore implements RaftLogStorage {
  readonly #path: string;
  readonly #database: Database<RaftSchema>;
  readonly #rows: RaftRows;
  readonly #mark: WriteMark;
  readonly #recent: RecentEntries;
  #state: LogState = EMPTY_LOG;
  /** Terms of the entries after `#state.baseIndex`. */
  #terms: number[] = [];
  #snapshot: Snapshot | undefined;
  /** The commit index moved in memory only. */
  #unsaved = false;
  #saving = false;
  #memory: unknown;
  /** The memory is to go with the next write. */
  #memoryWaits = false;
  #closed = false;

  /**
   * Makes the empty log of a new member. @throws FleetError conflict when there is one already,
   * unavailable (disk full)
   */
  static create(path: string, key: RecordKeys | Uint8Array): RaftLogStore {
    Database.create<RaftSchema>(path, RAFT_FORMAT, (database) => {
      database.transaction(() => new RaftRows(database, recordKeys(key)).saveState(EMPTY_LOG));
      // What an earlier log has confirmed says nothing about this one.
      RaftLogStore.#forgetMark(path);
    });
    return RaftLogStore.open(path, key);
  }

  /**
   * Opens the log of a member and checks every record of it.
   * @throws FleetError corrupt, naming what is missing, damaged or older than it was
   */
  static open(
    path: string,
    key: RecordKeys | Uint8Array,
    options: { recentMaxBytes?: number } = {},
  ): RaftLogStore {
    const database = Database.open<RaftSchema>(path, RAFT_FORMAT);
    try {
      return new RaftLogStore(path, database, recordKeys(key), options.recentMaxBytes);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Removes a log for good. */
  static remove(path: string): void {
    removeDatabase(path);
    RaftLogStore.#forgetMark(path);
  }

  static #forgetMark(path: string): void {
    removeDatabase(WriteMark.pathOf(path));
  }

  private constructor(
    path: string,
    database: Database<RaftSchema>,
    keys: RecordKeys,
    recentMaxBytes: number | undefined,
  ) {
    this.#path = path;
    this.#database = database;
    this.#rows = new RaftRows(database, keys);
    this.#recent = new RecentEntries(recentMaxBytes);
    this.#mark = WriteMark.open(path);
    try {
      this.#database.read(() => this.#load());
    } catch (error) {
      this.#mark.close();
      if (error instanceof MissingParts) throw this.#damaged(error.message);
      if (error instanceof FleetError && !error.message.startsWith(path)) {
        throw this.#damaged(messageOf(error), error);
      }
      throw error;
    }
  }

  #damaged(detail: string, cause?: unknown): FleetError {
    return damaged(this.#path, detail, cause);
  }

  #load(): void {
    const state = this.#rows.loadState();
    if (!state) throw this.#damaged("its raft state is missing");
    this.#state = state;
    const confirmed = this.#mark.read() ?? 0;
    if (state.writes < confirmed) throw this.#older(state.writes, confirmed);
    this.#snapshot = this.#rows.loadSnapshot();
    this.#memory = this.#rows.loadMemory();
    let next = state.baseIndex + 1;
    for (const entry of this.#rows.entries(0, -1)) {
      if (entry.index !== next) throw this.#missing(next, entry.index - 1);
      next++;
      this.#terms.push(entry.term);
      this.#recent.push(entry);
    }
    if (next !== state.lastIndex + 1) throw this.#missing(next, state.lastIndex);
    const covered = this.#snapshot?.meta.index ?? 0;
    if (covered < state.baseIndex) {
      throw this.#damaged(
        `the snapshot that replaced the entries up to ${state.baseIndex} is missing`,
      );
    }
    if (state.lastIndex < state.hardState.commit) {
      throw this.#damaged(
        `the log ends at entry ${state.lastIndex}, but entry ${state.hardState.commit} was committed`,
      );
    }
  }

  #missing(first: number, last: number): FleetError {
    return this.#damaged(
      last < first
        ? `raft log entry ${last + 1} does not belong there`
        : first === last
        ? `raft log entry ${first} is missing`
        : `raft log entries ${first} to ${last} are missing`,
    );
  }

  #older(writes: number, confirmed: number): FleetError {
    return new FleetError(
      "corrupt",
      `${this.#path} is older than what this node has confirmed (write ${writes} of ${confirmed}): its -wal file was lost or damaged, or an old copy was put in its place; ` +
        `bring the newer files back, or run fleet leave --force and join again; only on the single manager of a cluster, and to accept that the last changes are lost, remove ${
          WriteMark.pathOf(this.#path)
        }`,
    );
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    return { hardState: this.#state.hardState, conf: this.#snapshot?.meta.conf ?? NO_CONF };
  }

  firstIndex(): number {
    return this.#state.baseIndex + 1;
  }

  lastIndex(): number {
    return this.#state.lastIndex;
  }

  term(index: number): number | undefined {
    if (index === this.#state.baseIndex) return this.#state.baseTerm;
    return this.#terms[index - this.#state.baseIndex - 1];
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    assert(
      lo >= this.firstIndex(),
      `entry ${lo} is compacted; the first one is ${this.firstIndex()}`,
    );
    assert(hi <= this.lastIndex() + 1, `entry ${hi - 1} is beyond the last one`);
    const out: Entry[] = [];
    let bytes = 0;
    for (let index = lo; index < hi;) {
      const recent = this.#recent.get(index);
      for (const entry of recent ? [recent] : this.#readOld(index, hi)) {
        bytes += entryBytes(entry);
        if (bytes > maxBytes && out.length > 0) return out;
        out.push(entry);
        index++;
      }
    }
    return out;
  }

  /** Some entries from `index` on that are not in memory any more; at least one. */
  #readOld(index: number, hi: number): Entry[] {
    const found = this.#database.read(() => [
      ...this.#rows.entries(index, Math.min(hi - index, READ_ROWS)),
    ]);
    if (found[0]?.index !== index) throw this.#missing(index, index);
    return found;
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /**
   * Makes everything of one round durable, all or nothing. Entries take the place of all stored ones from
   * the first one's index on; a snapshot takes the place of the whole log.
   * @throws FleetError unavailable (disk full): nothing was changed, the same may be tried again; internal
   *   (failing disk): nobody knows what it holds now
   */
  append({ entries, hardState, snapshot, mustSync = true }: LogBatch): void {
    if (!mustSync && entries.length === 0 && !snapshot) {
      if (!hardState) return;
      this.#state = { ...this.#state, hardState };
      this.#unsaved = true;
      return;
    }
    const before = this.#state;
    const base = snapshot
      ? { baseIndex: snapshot.meta.index, baseTerm: snapshot.meta.term }
      : { baseIndex: before.baseIndex, baseTerm: before.baseTerm };
    const end = snapshot ? base.baseIndex : before.lastIndex;
    const first = entries[0]?.index ?? end + 1;
    assert(first > base.baseIndex, `entry ${first} is compacted already`);
    assert(first <= end + 1, `there is a gap before entry ${first}`);
    for (const [i, { index }] of entries.entries()) {
      assert(index === first + i, `entry ${index} is not the next one`);
    }
    this.#write({
      hardState: hardState ?? before.hardState,
      ...base,
      lastIndex: entries.length > 0 ? first + entries.length - 1 : end,
    }, () => {
      if (snapshot) this.#replaceAll(snapshot);
      else if (first <= end) this.#rows.cutEntriesFrom(first);
      for (const entry of entries) this.#rows.insertEntry(entry);
    });
    if (snapshot) {
      this.#snapshot = snapshot;
      this.#terms = [];
      this.#recent.cutFrom(0);
    }
    this.#terms.length = first - base.baseIndex - 1;
    this.#recent.cutFrom(first);
    for (const entry of entries) {
      this.#terms.push(entry.term);
      this.#recent.push(entry);
    }
  }

  #replaceAll(snapshot: Snapshot): void {
    const parts = partsOf(snapshot.data);
    this.#rows.cutEntriesFrom(0);
    this.#rows.dropParts(snapshot.meta.index);
    for (let part = 0; part < parts; part++) {
      this.#rows.savePart(snapshot.meta.index, part, snapshot.data);
    }
    this.#rows.saveSnapshot(snapshot.meta, parts);
    this.#rows.dropPartsExcept(snapshot.meta.index);
  }

  /**
   * Stores a snapshot of the applied state and forgets the entries before `keepFrom`, which it must cover. A
   * large one is written piece by piece, with other work in between; until the last piece is there the one
   * before is in force. One at a time.
   * @throws FleetError unavailable (disk full): the one before stays
   */
  async saveSnapshot(snapshot: Snapshot, keepFrom: number): Promise<void> {
    assert(!this.#saving, "another snapshot is being written");
    const { meta, data } = snapshot;
    const parts = partsOf(data);
    // The leader may send a newer one meanwhile.
    const obsolete = () => this.#closed || (this.#snapshot?.meta.index ?? 0) >= meta.index;
    if (obsolete()) return;
    assert(this.term(meta.index) === meta.term, `the log has no entry ${meta.index} of that term`);
    this.#saving = true;
    try {
      this.#database.transaction(() => {
        this.#rows.dropPartsExcept(this.#snapshot?.meta.index ?? 0);
        this.#rows.savePart(meta.index, 0, data);
      });
      for (let part = 1; part < parts; part++) {
        await otherWork();
        if (obsolete()) return;
        this.#database.transaction(() => this.#rows.savePart(meta.index, part, data));
      }
      this.#write(this.#state, () => this.#rows.saveSnapshot(meta, parts));
      this.#snapshot = snapshot;
      await this.#compact(Math.min(keepFrom, meta.index + 1));
    } finally {
      this.#saving = false;
    }
  }

  /** Drops the entries before `keepFrom` in small steps. */
  async #compact(keepFrom: number): Promise<void> {
    while (!this.#closed && this.firstIndex() < keepFrom) {
      const baseIndex = Math.min(keepFrom - 1, this.#state.baseIndex + COMPACT_ROWS);
      const baseTerm = must(this.term(baseIndex), `term of entry ${baseIndex}`);
      const dropped = baseIndex - this.#state.baseIndex;
      this.#write(
        { ...this.#state, baseIndex, baseTerm },
        () => this.#rows.cutEntriesBefore(baseIndex + 1),
      );
      this.#terms.splice(0, dropped);
      this.#recent.cutBefore(baseIndex + 1);
      if (this.firstIndex() < keepFrom) await otherWork();
    }
  }

  /** What the member keeps of the others; undefined on a log that never had it. */
  memory<T>(): T | undefined {
    return this.#memory as T | undefined;
  }

  /**
   * Keeps `record` (JSON) with the next write, or in a synced one of its own when `now`.
   * @throws FleetError as {@link append} says, only when `now`
   */
  keepMemory(record: unknown, now: boolean): void {
    this.#memory = record;
    this.#memoryWaits = true;
    if (now) this.#write(this.#state, () => {});
  }

  /** One transaction that also says what the log holds after it. */
  #write(state: Omit<LogState, "writes">, run: () => void): void {
    assert(!this.#closed, "the log is closed");
    const next = { ...state, writes: this.#state.writes + 1 };
    this.#database.transaction(() => {
      run();
      this.#rows.saveState(next);
      if (this.#memoryWaits) this.#rows.saveMemory(this.#memory);
    });
    this.#state = next;
    this.#unsaved = this.#memoryWaits = false;
    this.#mark.write(next.writes);
  }

  /**
   * Seals every record under the current key, in small steps with other work in between. False when the log
   * was closed before the end. @throws FleetError as {@link append} says; what is done by then stays
   */
  async reseal(): Promise<boolean> {
    const step = async (run: () => void) => {
      if (this.#closed) return false;
      this.#write(this.#state, run);
      await otherWork();
      return !this.#closed;
    };
    // New entries are under the new key: only those that are here now matter.
    for (let index: number | undefined = 0; index !== undefined;) {
      const from: number = index;
      const ok = await step(() => {
        const last = this.#rows.resealEntries(from, RESEAL_ROWS);
        index = last === undefined ? undefined : last + 1;
      });
      if (!ok) return false;
    }
    for (let at: { index: number; part: number } | undefined = { index: -1, part: -1 }; at;) {
      const after: { index: number; part: number } = at;
      if (!await step(() => at = this.#rows.resealPart(after))) return false;
    }
    return await step(() => {
      this.#rows.resealSnapshot();
      if (this.#memory !== undefined) this.#rows.saveMemory(this.#memory);
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    try {
      // Saves the next start from learning the commit index anew; on a full disk it has to.
      if (this.#unsaved || this.#memoryWaits) this.#write(this.#state, () => {});
    } catch {
      // Nothing that was promised is lost.
    } finally {
      this.#closed = true;
      this.#mark.close();
      this.#database.close();
    }
  }
}

/** Between two pieces of a snapshot or a compaction, each a sync: most of the time belongs to the log. */
const PAUSE_MS = 10;

function otherWork(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
