import { FleetError, kindOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Tracer } from "../../base/tracer.ts";
import { encodeChanges } from "../../core/store/codec.ts";
import type { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import type { Change } from "../../model/view.ts";

/**
 * Replicates bytes. Resolves with the entry's index once it is committed *and applied* here; rejects
 * with `unavailable` when this node does not lead or lost the lead before the commit was known.
 */
export interface Proposer {
  propose(data: Uint8Array, signal?: AbortSignal): Promise<number>;
}

/** Changes that share one log entry: SwarmKit's 200, twice, since most bring an entry of the audit log. */
const MAX_CHANGES_PER_ENTRY = 400;
/** Writers that may wait; more are refused, since they would wait longer than their callers do. */
const MAX_WAITING = 10_000;

/** Traces that an entry is told to; more that share it do not see it. */
const MAX_TRACES = 16;

interface Waiting {
  readonly run: (tx: Transaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
  /** The trace that it belongs to. */
  readonly trace: string | undefined;
}

/**
 * The only way to change the store: functions over a transaction, one after the other, each all or
 * nothing. While one entry is on its way through the log, later writers gather and share the next
 * (group commit).
 *
 * Two writers that touch the same object never share an entry: both would leave the same version
 * behind, and a reader could not tell which one it saw.
 */
export class Writer {
  readonly #store: MemoryStore;
  readonly #proposer: Proposer;
  readonly #clock: Clock;
  readonly #tracer: Tracer | undefined;
  readonly #waiting: Waiting[] = [];
  #running = false;
  /** Writers that go alone next, since together they were too large for one entry. */
  #alone = 0;

  constructor(
    options: {
      store: MemoryStore;
      proposer: Proposer;
      clock: Clock;
      tracer?: Tracer | undefined;
    },
  ) {
    this.#store = options.store;
    this.#proposer = options.proposer;
    this.#clock = options.clock;
    this.#tracer = options.tracer;
  }

  /**
   * Runs `run` on a transaction and resolves with its result once the changes are committed. What
   * `run` throws is thrown here, and nothing is changed. `run` must not wait.
   */
  write<T>(run: (tx: Transaction) => T, signal?: AbortSignal): Promise<T> {
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(
        new FleetError("unavailable", `${MAX_WAITING} writes are waiting already; try again later`),
      );
    }
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({
        run,
        resolve: resolve as (value: unknown) => void,
        reject,
        signal,
        trace: this.#tracer?.current(),
      });
      if (!this.#running) {
        this.#running = true;
        queueMicrotask(() => void this.#drain());
      }
    });
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) await this.#commitBatch();
    } finally {
      this.#running = false;
    }
  }

  async #commitBatch(): Promise<void> {
    const batch = new Transaction(this.#store, this.#clock.now());
    const done: { waiting: Waiting; value: unknown }[] = [];
    const touched = new Set<string>();
    while (this.#waiting.length > 0 && batch.size < MAX_CHANGES_PER_ENTRY) {
      if (this.#alone > 0 && done.length > 0) break;
      const waiting = this.#waiting[0]!;
      if (waiting.signal?.aborted) {
        this.#waiting.shift();
        waiting.reject(waiting.signal.reason);
        continue;
      }
      const tx = new Transaction(batch, batch.nowMs);
      let value: unknown;
      try {
        value = waiting.run(tx);
      } catch (error) {
        // What it saw of this batch is not committed yet: a refusal based on it has to wait too.
        if (batch.size > 0) break;
        this.#waiting.shift();
        waiting.reject(error);
        continue;
      }
      if (batch.size > 0 && [...tx.keys()].some((key) => touched.has(key))) break;
      this.#waiting.shift();
      for (const key of tx.keys()) touched.add(key);
      batch.absorb(tx);
      done.push({ waiting, value });
    }
    if (done.length === 0) return;
    this.#alone = Math.max(0, this.#alone - 1);
    try {
      const changes = batch.changes();
      const entry = changes.length > 0 ? this.#encode(changes, done) : undefined;
      if (entry === "too large together") return;
      if (entry) await this.#propose(entry, done);
      for (const { waiting, value } of done) waiting.resolve(value);
    } catch (error) {
      for (const { waiting } of done) waiting.reject(error);
    }
  }

  async #propose(
    entry: Uint8Array,
    done: readonly { readonly waiting: Waiting }[],
  ): Promise<void> {
    const tracer = this.#tracer;
    if (!tracer) return void await this.#proposer.propose(entry);
    const traces = new Set(done.flatMap(({ waiting }) => waiting.trace ?? []));
    const attributes = { "fleet.entry_bytes": entry.length, "fleet.writers": done.length };
    const spans = [...traces].slice(0, MAX_TRACES)
      .map((parent) => tracer.start("raft propose", { parent, attributes }));
    try {
      const index = await this.#proposer.propose(entry);
      for (const span of spans) {
        span.set({ "fleet.log_index": index });
        span.end();
      }
    } catch (error) {
      for (const span of spans) span.end(error);
      throw error;
    }
  }

  /** The entry's bytes; writers that do not fit into one entry together wait again and go one by one. */
  #encode(
    changes: readonly Change[],
    done: readonly { waiting: Waiting }[],
  ): Uint8Array | "too large together" {
    try {
      return encodeChanges(changes);
    } catch (error) {
      if (done.length === 1 || kindOf(error) !== "invalid") throw error;
      this.#waiting.unshift(...done.map(({ waiting }) => waiting));
      this.#alone = done.length;
      return "too large together";
    }
  }
}
