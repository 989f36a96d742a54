import type { Random } from "../../src/base/random.ts";
import { randomInt } from "../../src/base/random.ts";
import { MemoryStorage } from "../../src/core/raft/memory_storage.ts";
import type { ConfState, Entry, HardState, Snapshot } from "../../src/core/raft/types.ts";
import { chance } from "./draw.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** One transaction of the log. */
export interface WriteRecord {
  /** Received from the leader: replaces the log. */
  readonly snapshot?: Snapshot;
  readonly entries?: readonly Entry[];
  readonly hardState?: HardState;
  /** Made here: the log up to `compactTo` can go. */
  readonly made?: { readonly index: number; readonly conf: ConfState; readonly data: Uint8Array };
  readonly compactTo?: number;
}

/**
 * A disk with a write-ahead log: transactions become durable in order. A power loss keeps what was synced
 * and an arbitrary part of the rest; the first transaction that is torn ends the log, as a checksum
 * would tell. A mere crash of the process loses nothing that was written.
 */
export class SimDisk {
  readonly #time: VirtualTime;
  readonly #random: Random;
  #platter = new MemoryStorage();
  #cached: WriteRecord[] = [];
  #syncMs: number;
  /** Counts crashes, so that completions from before one come to nothing. */
  #epoch = 0;
  failNextSync = false;
  full = false;
  tornWrites = 0;

  constructor(time: VirtualTime, random: Random, syncMs: number) {
    this.#time = time;
    this.#random = random;
    this.#syncMs = syncMs;
  }

  set syncMs(ms: number) {
    this.#syncMs = ms;
  }

  /**
   * Writes one transaction; `done` hears whether it worked. Without `sync` it is only in the cache and
   * `done` is called at once.
   */
  write(record: WriteRecord, sync: boolean, done: (ok: boolean) => void): void {
    if (this.full) {
      done(false);
      return;
    }
    this.#cached.push(record);
    if (!sync) {
      done(true);
      return;
    }
    const count = this.#cached.length;
    const epoch = this.#epoch;
    const ms = 0.2 + this.#random.float() * this.#syncMs;
    this.#time.after(ms, () => {
      if (epoch !== this.#epoch) return;
      if (this.failNextSync) {
        this.failNextSync = false;
        done(false);
        return;
      }
      for (const each of this.#cached.splice(0, count)) apply(this.#platter, each);
      done(true);
    });
  }

  /** The process ended; with `powerLoss` the cache is lost, too, or a part of it. */
  crash(powerLoss: boolean): void {
    this.#epoch++;
    let keep = this.#cached.length;
    if (powerLoss && keep > 0) {
      keep = randomInt(this.#random, keep + 1);
      // The next one was half written.
      if (keep < this.#cached.length && chance(this.#random, 0.5)) this.tornWrites++;
    }
    for (const each of this.#cached.slice(0, keep)) apply(this.#platter, each);
    this.#cached = [];
  }

  /** What a starting process finds. */
  load(): MemoryStorage {
    return copy(this.#platter);
  }

  /** The disk becomes what it was when `image` was made by {@link load}. */
  restore(image: MemoryStorage): void {
    this.#epoch++;
    this.#cached = [];
    this.#platter = copy(image);
  }
}

function copy(from: MemoryStorage): MemoryStorage {
  const storage = new MemoryStorage();
  const snapshot = from.snapshot();
  // The log may begin before the snapshot's end; a starting process needs only what is behind.
  const first = snapshot ? snapshot.meta.index + 1 : from.firstIndex();
  if (snapshot) storage.applySnapshot(snapshot);
  storage.append(entriesFrom(from, first));
  storage.setHardState(from.initialState().hardState);
  return storage;
}

function entriesFrom(storage: MemoryStorage, from: number): readonly Entry[] {
  return from > storage.lastIndex() ? [] : storage.entries(from, storage.lastIndex() + 1, Infinity);
}

/** Plays a transaction on a log in memory. */
export function apply(storage: MemoryStorage, record: WriteRecord): void {
  if (record.snapshot) storage.applySnapshot(record.snapshot);
  if (record.entries) storage.append(record.entries);
  if (record.hardState) storage.setHardState(record.hardState);
  if (record.made) storage.createSnapshot(record.made.index, record.made.conf, record.made.data);
  if (record.compactTo !== undefined) storage.compact(record.compactTo);
}
