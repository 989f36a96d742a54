import { FleetError } from "../../base/errors.ts";
import type { ConfState, RaftId } from "../../core/raft/types.ts";

/**
 * One start of a member's process on its log. Starts of one member are ordered: by the entry that added the
 * member, then by the count that its log keeps. Two that compare equal and differ in `name` come from two
 * copies of one data directory.
 */
export interface Run {
  readonly joinedIndex: number;
  /** How often a manager was started on this log. */
  readonly starts: number;
  /** Drawn at each start. */
  readonly name: string;
}

/** What a member keeps of the others across restarts, besides raft's own state. */
export interface MemoryRecord {
  /** Starts of this log so far. */
  readonly starts: number;
  /** An index that this member once confirmed: a log that ends before it is an old copy. */
  readonly confirmed: number;
  readonly peers: readonly {
    readonly id: RaftId;
    /** The highest committed index that the member is known to have on its disk. */
    readonly confirmed: number;
    /** Its newest start that was seen. */
    readonly run?: Run;
  }[];
}

export const EMPTY_MEMORY: MemoryRecord = { starts: 0, confirmed: 0, peers: [] };

/** Where the record is kept: in the file of the log, so that both grow old together. */
export interface MemoryStorage {
  memory(): MemoryRecord | undefined;
  /** Keeps `record` with the next write of the log, or with a write of its own when `now`. */
  keepMemory(record: MemoryRecord, now: boolean): void;
}

const OLD_COPY =
  "this node's data directory is a copy that was left behind; run fleet leave --force here, remove the node on another manager, and join again";

/**
 * Tells members that go on from where they were from copies: a disk image that was restored, a machine that was
 * cloned. What raft's core remembers of the others' logs is kept here, too, so that it survives restarts.
 */
export class MemberMemory {
  readonly own: Run;
  readonly #storage: MemoryStorage;
  readonly #runs = new Map<RaftId, Run>();
  #confirmed: ReadonlyMap<RaftId, number>;
  #ownConfirmed: number;
  /** Kept, but not written yet. */
  #waiting = false;

  /** Counts this start durably, before anybody hears of it. */
  constructor(storage: MemoryStorage, options: { joinedIndex: number; name: string }) {
    this.#storage = storage;
    const record = storage.memory() ?? EMPTY_MEMORY;
    this.own = { ...options, starts: record.starts + 1 };
    this.#ownConfirmed = record.confirmed;
    this.#confirmed = new Map(record.peers.map(({ id, confirmed }) => [id, confirmed]));
    for (const { id, run } of record.peers) if (run) this.#runs.set(id, run);
    this.#keep(true);
  }

  /** For the core's `remembered`. */
  remembered(): [RaftId, number][] {
    return [...this.#confirmed];
  }

  /** Index that this member is known to have confirmed, whatever its log holds. */
  get confirmed(): number {
    return this.#ownConfirmed;
  }

  /** Somebody proved that this member has confirmed `index`: not even a restart may forget it. */
  noteOwnConfirmed(index: number): void {
    if (index <= this.#ownConfirmed) return;
    this.#ownConfirmed = index;
    this.#keep(true);
  }

  /**
   * Whether a member that begins to speak may be listened to.
   * @throws FleetError corrupt: a newer start of the same member was seen, or another copy of the same start
   */
  admit(id: RaftId, run: Run): void {
    const known = this.#runs.get(id);
    const order = known ? compareRuns(run, known) : 1;
    if (order < 0) {
      throw new FleetError(
        "corrupt",
        `a newer start of node ${id} was seen than this one (start ${run.starts} of its data, ${
          known!.starts
        } was seen): ${OLD_COPY}`,
      );
    }
    if (order === 0 && run.name !== known!.name) {
      throw new FleetError(
        "corrupt",
        `two nodes have the id ${id} and both are at start ${run.starts} of the same data: ${OLD_COPY}`,
      );
    }
    if (order === 0) return;
    this.#runs.set(id, run);
    this.#keep(true);
  }

  /** Takes over what the core remembers; written with the log's next write, or on the call after this. */
  note(remembered: readonly (readonly [RaftId, number])[], conf: ConfState): void {
    let changed = remembered.length !== this.#confirmed.size;
    for (const [id, index] of remembered) {
      if (this.#confirmed.get(id) !== index) changed = true;
    }
    const members = new Set([...conf.voters, ...conf.learners]);
    for (const id of [...this.#runs.keys()]) {
      // Before the first change of membership is known here nobody is a member.
      if (members.size > 0 && !members.has(id)) changed = this.#runs.delete(id);
    }
    if (changed) {
      this.#confirmed = new Map(remembered);
      this.#keep(false);
    } else if (this.#waiting) this.#keep(true);
  }

  #keep(now: boolean): void {
    const ids = [...new Set([...this.#confirmed.keys(), ...this.#runs.keys()])].sort();
    this.#waiting = !now;
    this.#storage.keepMemory({
      starts: this.own.starts,
      confirmed: this.#ownConfirmed,
      peers: ids.map((id) => {
        const run = this.#runs.get(id);
        return { id, confirmed: this.#confirmed.get(id) ?? 0, ...(run ? { run } : {}) };
      }),
    }, now);
  }
}

function compareRuns(a: Run, b: Run): number {
  return a.joinedIndex - b.joinedIndex || a.starts - b.starts;
}
