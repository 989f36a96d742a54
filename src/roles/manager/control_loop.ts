import type { Clock } from "../../base/clock.ts";
import { kindOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Meter } from "../../base/meter.ts";
import type { Tracer } from "../../base/tracer.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import { inParts } from "./in_parts.ts";
import { commitTraced } from "./traced_changes.ts";

/** A pure decision that looks at the objects named by keys. */
export interface Reconciler {
  readonly name: string;
  /** Everything there is to look at; asked when leading begins and after a long rest. */
  allKeys(view: View): Iterable<string>;
  /** What a change makes worth a look. Called once for every change, in the order of the log. */
  keysOf(change: Applied, view: View): Iterable<string>;
  /** One key's decision. `wakeAtMs` asks for another look at that time. */
  reconcile(
    view: View,
    key: string,
    nowMs: number,
  ): { readonly changes: readonly Change[]; readonly wakeAtMs?: number };
}

/** The state, and word of every change to it. */
export interface WatchedView extends View {
  /** Calls `listener` after every applied entry; the returned function ends it. */
  onApply(listener: (changes: readonly Applied[]) => void): () => void;
}

export interface ControlLoopOptions {
  readonly reconciler: Reconciler;
  readonly store: WatchedView;
  /**
   * Stores changes, all or none; resolves when they are applied here. Rejects with `out-of-sequence`,
   * `not-found` or `conflict` when somebody else was first, `unavailable` when this node leads no more.
   */
  readonly commit: (changes: readonly Change[], signal: AbortSignal) => Promise<unknown>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter?: Meter | undefined;
  readonly tracer?: Tracer | undefined;
}

/** Changes that belong together arrive together: the loop waits this long for more. */
const MIN_COALESCE_MS = 2;
/** A look that took long is followed by a rest as long, up to this, so that loops leave others room. */
const MAX_COALESCE_MS = 50;
/** Changes of one transaction, as in SwarmKit. */
const MAX_CHANGES = 200;
/** A loop without anything to do looks at everything again after this long: events only say "look". */
const FULL_LOOK_MS = 60_000;
/** Refusals in a row that are told as a warning: somebody else changes the same objects all the time. */
const MANY_REFUSALS = 20;

/** Whether a change was refused because somebody else was first: looking again is all it takes. */
export function isLostRace(error: unknown): boolean {
  return ["out-of-sequence", "not-found", "conflict"].includes(kindOf(error));
}

/**
 * The one driver of all control loops: collects what changed, lets the decision look, commits what it
 * wants, looks again when somebody else was first, wakes at the decision's own deadlines. Ends by
 * throwing: the abort reason, or what made it impossible to go on.
 */
export async function runControlLoop(
  options: ControlLoopOptions,
  signal: AbortSignal,
): Promise<void> {
  const loop = new ControlLoop(options, signal);
  try {
    await loop.run();
  } finally {
    loop.close();
  }
}

class ControlLoop {
  readonly #options: ControlLoopOptions;
  readonly #signal: AbortSignal;
  readonly #dirty = new Set<string>();
  readonly #deadlines = new Map<string, number>();
  readonly #unsubscribe: () => void;
  readonly #onAbort = () => this.#wake();
  #wake: () => void = () => {};
  #lookTookMs = 0;
  #lookBeganMs = 0;
  #refusals = 0;

  constructor(options: ControlLoopOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    const { reconciler, store } = options;
    this.#unsubscribe = store.onApply((changes) => {
      for (const change of changes) this.#look(reconciler.keysOf(change, store));
    });
    this.#look(reconciler.allKeys(store));
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  close(): void {
    this.#unsubscribe();
    this.#signal.removeEventListener("abort", this.#onAbort);
  }

  async run(): Promise<void> {
    const { clock, meter, reconciler } = this.#options;
    for (;;) {
      this.#signal.throwIfAborted();
      if (this.#dirty.size === 0) await this.#rest();
      else await this.#pause();
      this.#signal.throwIfAborted();
      this.#takeDue();
      const keys = [...this.#dirty];
      this.#dirty.clear();
      const started = clock.monotonic();
      this.#lookBeganMs = clock.now();
      await this.#decide(keys);
      this.#lookTookMs = clock.monotonic() - started;
      const labels = { loop: reconciler.name };
      meter?.observe("control_loop_seconds", this.#lookTookMs / 1000, labels);
      meter?.observe("control_loop_queue_depth", keys.length, labels);
    }
  }

  #look(keys: Iterable<string>): void {
    const before = this.#dirty.size;
    for (const key of keys) this.#dirty.add(key);
    if (this.#dirty.size > before) this.#wake();
  }

  /** Sleeps until a change, the next deadline or the time of a full look. */
  async #rest(): Promise<void> {
    const { clock, reconciler, store } = this.#options;
    const fullLookAt = clock.now() + FULL_LOOK_MS;
    let next = fullLookAt;
    for (const at of this.#deadlines.values()) next = Math.min(next, at);
    await this.#sleep(next - clock.now());
    if (clock.now() >= fullLookAt) this.#look(reconciler.allKeys(store));
    if (this.#dirty.size > 0) await this.#pause();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const done = () => {
        cancel();
        this.#wake = () => {};
        resolve();
      };
      const cancel = this.#options.clock.after(Math.max(0, ms), done);
      this.#wake = done;
      if (this.#signal.aborted) done();
    });
  }

  /** Lets changes gather. Nothing cuts this short: it is bounded and brief. */
  #pause(): Promise<void> {
    const ms = Math.min(MAX_COALESCE_MS, Math.max(MIN_COALESCE_MS, this.#lookTookMs));
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }

  #takeDue(): void {
    const now = this.#options.clock.now();
    for (const [key, at] of this.#deadlines) {
      if (at > now) continue;
      this.#deadlines.delete(key);
      this.#dirty.add(key);
    }
  }

  async #decide(keys: readonly string[]): Promise<void> {
    const { reconciler, store, clock } = this.#options;
    let batch: Change[] = [];
    let batchKeys: string[] = [];
    for (const key of keys) {
      const { changes, wakeAtMs } = reconciler.reconcile(store, key, clock.now());
      if (wakeAtMs === undefined) this.#deadlines.delete(key);
      else this.#deadlines.set(key, wakeAtMs);
      if (changes.length === 0) continue;
      batch = batch.concat(changes);
      batchKeys.push(key);
      if (batch.length < MAX_CHANGES) continue;
      await this.#store(batch, batchKeys);
      batch = [];
      batchKeys = [];
    }
    if (batch.length > 0) await this.#store(batch, batchKeys);
  }

  async #store(changes: readonly Change[], keys: readonly string[]): Promise<void> {
    const { reconciler, commit, logger, tracer } = this.#options;
    const store = () => inParts(changes, MAX_CHANGES, (part) => commit(part, this.#signal));
    try {
      if (tracer) {
        const beganMs = this.#lookBeganMs;
        await commitTraced(tracer, reconciler.name, { changes, beganMs }, store);
      } else await store();
      this.#refusals = 0;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isLostRace(error)) {
        logger.log("error", "a decision could not be stored", {
          loop: reconciler.name,
          error: messageOf(error),
        });
        throw error;
      }
      // Somebody else changed one of the objects first: look again at what is there now.
      this.#look(keys);
      if (++this.#refusals % MANY_REFUSALS === 0) {
        logger.log("warn", "decisions are overtaken by other writers again and again", {
          loop: reconciler.name,
          error: messageOf(error),
        });
      }
    }
  }
}
