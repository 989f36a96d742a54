import { assert, must } from "../../base/assert.ts";
import { entryBytes, limitSize } from "./size.ts";
import type { Entry, RaftLogStorage, Snapshot, SnapshotMeta } from "./types.ts";

/** Entries that are read at once when the end of a stored log is searched. */
const SCAN_BYTES = 4 * 1024 * 1024;

/**
 * The replicated log: the persisted part, read from storage, and behind it the unstable part, which the
 * owner of the core has yet to persist.
 *
 * Invariants: `applied <= applying <= committed <= lastIndex`; nothing up to `committed` ever changes;
 * `#unstable[i].index === #offset + i`; `stable < #offset + #unstable.length`.
 */
export class RaftLog {
  readonly #storage: RaftLogStorage;
  #unstable: Entry[] = [];
  #offset: number;
  /** Received from the leader, not persisted yet. */
  #snapshot: Snapshot | undefined;
  /** What the Ready that is being worked on contains; undefined between Readies. */
  #writing: { last: number; snapshot: Snapshot | undefined } | undefined;
  /** Everything up to here is on disk and belongs to this history. */
  #stable: number;
  #committed: number;
  /** Where membership changes are, behind the commit index of the start; ascending. */
  readonly #confIndexes: number[] = [];
  #applying: number;
  #applied: number;

  constructor(storage: RaftLogStorage, committed: number, applied: number) {
    this.#storage = storage;
    this.#stable = storage.lastIndex();
    this.#offset = this.#stable + 1;
    const floor = storage.firstIndex() - 1;
    assert(applied >= floor, `entries after ${applied} are gone; the log begins at ${floor + 1}`);
    this.#committed = Math.max(committed, applied);
    assert(
      this.#committed <= this.#stable,
      `commit index ${this.#committed} is beyond the last entry ${this.#stable}`,
    );
    this.#applied = applied;
    this.#applying = applied;
    for (let from = this.#committed + 1; from <= this.#stable;) {
      const entries = storage.entries(from, this.#stable + 1, SCAN_BYTES);
      for (const entry of entries) this.#noteConf(entry);
      from += entries.length;
    }
  }

  get committed(): number {
    return this.#committed;
  }
  get applied(): number {
    return this.#applied;
  }
  /** The last index that is on disk here, hence the last one that this member may vouch for. */
  get stable(): number {
    return this.#stable;
  }

  firstIndex(): number {
    return this.#snapshot ? this.#snapshot.meta.index + 1 : this.#storage.firstIndex();
  }

  lastIndex(): number {
    return this.#offset + this.#unstable.length - 1;
  }

  lastTerm(): number {
    return must(this.term(this.lastIndex()), "term of the last entry");
  }

  /** Undefined where nothing is known: compacted, or beyond the end. */
  term(index: number): number | undefined {
    if (index >= this.#offset) return this.#unstable[index - this.#offset]?.term;
    if (this.#snapshot) {
      return index === this.#snapshot.meta.index ? this.#snapshot.meta.term : undefined;
    }
    return this.#storage.term(index);
  }

  /** Appends entries of this member's own making (it leads). */
  append(entry: Entry): void {
    assert(entry.index === this.lastIndex() + 1, `entry ${entry.index} does not follow the last`);
    this.#unstable.push(entry);
    this.#noteConf(entry);
  }

  #noteConf(entry: Entry): void {
    if (entry.type === "conf") this.#confIndexes.push(entry.index);
  }

  /** Whether a membership change is behind `from`, up to and including `to`, both at or behind the last report. */
  hasConfIn(from: number, to: number): boolean {
    return to > from && this.#confIndexes.some((index) => index > from && index <= to);
  }

  /**
   * Takes over a leader's entries whose predecessor is known to match (§5.3): what is there already
   * stays, a conflict removes the rest.
   */
  merge(entries: readonly Entry[]): void {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (this.term(entry.index) === entry.term) continue;
      if (entry.index <= this.lastIndex()) this.#truncate(entry.index);
      for (let j = i; j < entries.length; j++) this.append(entries[j]!);
      return;
    }
  }

  /** Removes entries from `index` on. */
  #truncate(index: number): void {
    assert(index > this.#committed, `committed entry ${index} conflicts with the leader's`);
    if (index >= this.#offset) {
      this.#unstable.length = index - this.#offset;
    } else {
      this.#unstable = [];
      this.#offset = index;
    }
    this.#stable = Math.min(this.#stable, index - 1);
    while ((this.#confIndexes.at(-1) ?? 0) >= index) this.#confIndexes.pop();
    if (this.#writing) this.#writing.last = Math.min(this.#writing.last, index - 1);
  }

  /** Replaces everything by a leader's snapshot (§7). */
  restore(snapshot: Snapshot): void {
    const { index } = snapshot.meta;
    assert(index > this.#committed, `snapshot ${index} is older than what is committed`);
    this.#snapshot = snapshot;
    this.#unstable = [];
    this.#confIndexes.length = 0;
    this.#offset = index + 1;
    this.#stable = Math.min(this.#stable, this.#committed);
    this.#committed = index;
    if (this.#writing) this.#writing.last = 0;
  }

  /** `true` when the commit index moved. It never goes back. */
  commitTo(index: number): boolean {
    if (index <= this.#committed) return false;
    assert(index <= this.lastIndex(), `commit index ${index} is beyond the last entry`);
    this.#committed = index;
    return true;
  }

  /** Entries `lo .. hi - 1`, at least one, at most `maxBytes`; undefined when `lo` is compacted. */
  slice(lo: number, hi: number, maxBytes: number): readonly Entry[] | undefined {
    if (lo < this.firstIndex()) return undefined;
    if (lo >= hi) return [];
    const offset = this.#offset;
    if (lo >= offset) return limitSize(this.#unstable, lo - offset, hi - offset, maxBytes);
    const stored = this.#storage.entries(lo, Math.min(hi, offset), maxBytes);
    if (hi <= offset || stored.length < offset - lo) return stored;
    let bytes = 0;
    for (const entry of stored) bytes += entryBytes(entry);
    const left = maxBytes - bytes;
    if (left < entryBytes(this.#unstable[0]!)) return stored;
    return stored.concat(limitSize(this.#unstable, 0, hi - offset, left));
  }

  /** The newest snapshot that could be sent to a follower. */
  snapshotToSend(): Snapshot | undefined {
    return this.#snapshot ?? this.#storage.snapshot();
  }

  /**
   * The largest index up to `index` whose term is at most `term`: the best guess at where two logs
   * agree, given that one of them has `term` at `index` (end of §5.3).
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    let at = Math.min(index, this.lastIndex());
    for (; at > 0; at--) {
      const own = this.term(at);
      // Below the compacted prefix everything is committed, hence agreed.
      if (own === undefined) return { index: at, term: 0 };
      if (own <= term) return { index: at, term: own };
    }
    return { index: 0, term: 0 };
  }

  hasUnpersisted(): boolean {
    return this.#unstable.length > 0 || this.#snapshot !== undefined;
  }

  /** Whether committed entries wait to be applied; none while a snapshot waits. */
  hasUnapplied(): boolean {
    return this.#committed > this.#applying;
  }

  /** Begins a write: what must reach the disk. `acceptWritten` ends it. */
  beginWrite(): { entries: readonly Entry[]; snapshot: Snapshot | undefined } {
    assert(this.#writing === undefined, "the Ready before was not advanced");
    const entries = this.#unstable.slice();
    this.#writing = { last: this.lastIndex(), snapshot: this.#snapshot };
    return { entries, snapshot: this.#snapshot };
  }

  /** The entries to apply next, up to `maxBytes`; `acceptApplied` ends it. */
  beginApply(maxBytes: number): readonly Entry[] {
    const snapshot = this.#snapshot;
    // The snapshot is applied first, in the same Ready.
    const from = snapshot ? snapshot.meta.index : this.#applying;
    const entries = this.slice(from + 1, this.#committed + 1, maxBytes);
    assert(entries !== undefined, `committed entry ${from + 1} is compacted`);
    this.#applying = from + entries.length;
    return entries;
  }

  /** The disk holds what `beginWrite` returned. */
  acceptWritten(): void {
    const writing = must(this.#writing, "write under way");
    this.#writing = undefined;
    if (writing.snapshot !== undefined) {
      if (writing.snapshot === this.#snapshot) {
        this.#snapshot = undefined;
        this.#stable = writing.snapshot.meta.index;
      }
    }
    if (this.#snapshot !== undefined || writing.last < this.#offset) return;
    this.#unstable.splice(0, writing.last - this.#offset + 1);
    this.#offset = writing.last + 1;
    this.#stable = writing.last;
    assert(
      this.#storage.lastIndex() >= this.#stable,
      "the storage lacks entries that were written",
    );
  }

  /** The state machine has taken everything that `beginApply` returned. */
  acceptApplied(): void {
    this.#applied = this.#applying;
    while ((this.#confIndexes[0] ?? Infinity) <= this.#applied) this.#confIndexes.shift();
  }

  snapshotMeta(): SnapshotMeta | undefined {
    return this.#snapshot?.meta;
  }
}
