import { assert } from "../../base/assert.ts";
import { entryBytes } from "../../core/raft/size.ts";
import type { Entry } from "../../core/raft/types.ts";

/** Entries that followers may still ask for are kept opened up to this size; older ones are on disk. */
export const RECENT_MAX_BYTES = 32 * 1024 * 1024;
/** How much goes when it is too much, so that not every append moves the array. */
const EVICT_TO = 0.75;

/** The end of the log in memory, without gaps, bounded by bytes. The last entry is always there. */
export class RecentEntries {
  readonly #maxBytes: number;
  #entries: Entry[] = [];
  #bytes = 0;

  constructor(maxBytes = RECENT_MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get(index: number): Entry | undefined {
    const first = this.#entries[0];
    return first && this.#entries[index - first.index];
  }

  push(entry: Entry): void {
    const last = this.#entries.at(-1);
    assert(!last || entry.index === last.index + 1, `entry ${entry.index} leaves a gap`);
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
    if (this.#bytes > this.#maxBytes) this.#evict();
  }

  /** Drops the entries from `index` on. */
  cutFrom(index: number): void {
    const first = this.#entries[0]?.index ?? index;
    const removed = this.#entries.splice(Math.max(index - first, 0));
    for (const entry of removed) this.#bytes -= entryBytes(entry);
  }

  /** Drops the entries before `index`. */
  cutBefore(index: number): void {
    const first = this.#entries[0]?.index ?? index;
    this.#dropFirst(Math.min(Math.max(index - first, 0), this.#entries.length));
  }

  #evict(): void {
    let count = 0;
    let bytes = this.#bytes;
    while (count < this.#entries.length - 1 && bytes > this.#maxBytes * EVICT_TO) {
      bytes -= entryBytes(this.#entries[count++]!);
    }
    this.#dropFirst(count);
  }

  #dropFirst(count: number): void {
    for (const entry of this.#entries.splice(0, count)) this.#bytes -= entryBytes(entry);
  }
}
