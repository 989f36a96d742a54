import { assert, must } from "../../base/assert.ts";
import { EMPTY_CONF } from "./conf_change.ts";
import { limitSize } from "./size.ts";
import type { ConfState, Entry, HardState, RaftLogStorage, Snapshot } from "./types.ts";

const NO_HARD_STATE: HardState = { term: 0, vote: "", commit: 0 };

/**
 * {@link RaftLogStorage} in memory: the twin for tests and simulation, and the copy that an adapter
 * keeps in front of its disk. Mutators are called by the owner of the core in step 2 of a Ready.
 */
export class MemoryStorage implements RaftLogStorage {
  #hardState: HardState = NO_HARD_STATE;
  #conf: ConfState = EMPTY_CONF;
  #snapshot: Snapshot | undefined;
  /** `#entries[i]` has index `#base + 1 + i`; the entry at `#base` is compacted, its term is known. */
  #entries: Entry[] = [];
  #base = 0;
  #baseTerm = 0;

  initialState(): { hardState: HardState; conf: ConfState } {
    return { hardState: this.#hardState, conf: this.#conf };
  }

  firstIndex(): number {
    return this.#base + 1;
  }

  lastIndex(): number {
    return this.#base + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#base) return this.#baseTerm;
    return this.#entries[index - this.#base - 1]?.term;
  }

  entries(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    assert(lo > this.#base, `entry ${lo} is compacted; the first one is ${this.#base + 1}`);
    assert(hi <= this.lastIndex() + 1, `entry ${hi - 1} is beyond the last one`);
    return limitSize(this.#entries, lo - this.#base - 1, hi - this.#base - 1, maxBytes);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** The membership that `initialState` reports; it belongs to the state machine's index. */
  setConf(conf: ConfState): void {
    this.#conf = conf;
  }

  /** Takes entries over, replacing whatever was stored from the first one's index on. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const at = first.index - this.#base - 1;
    assert(at >= 0, `entry ${first.index} is compacted already`);
    assert(at <= this.#entries.length, `there is a gap before entry ${first.index}`);
    if (at < this.#entries.length) this.#entries.length = at;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** A snapshot from the leader takes the place of everything, entries behind it included. */
  applySnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#conf = snapshot.meta.conf;
    this.#entries = [];
    this.#base = snapshot.meta.index;
    this.#baseTerm = snapshot.meta.term;
  }

  /** Keeps a snapshot of the state machine at `index`; entries stay until {@link compact}. */
  createSnapshot(index: number, conf: ConfState, data: Uint8Array): Snapshot {
    const term = must(this.term(index), `term of entry ${index}`);
    assert(index >= (this.#snapshot?.meta.index ?? 0), "snapshots do not go back");
    this.#snapshot = { meta: { index, term, conf }, data };
    return this.#snapshot;
  }

  /** Drops entries up to and including `index`, which a snapshot must cover. */
  compact(index: number): void {
    if (index <= this.#base) return;
    assert(index <= (this.#snapshot?.meta.index ?? 0), `no snapshot covers entry ${index}`);
    this.#baseTerm = must(this.term(index), `term of entry ${index}`);
    this.#entries = this.#entries.slice(index - this.#base);
    this.#base = index;
  }
}
