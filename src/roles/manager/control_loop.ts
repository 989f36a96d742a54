import type { Clock } from "../../base/clock.ts";
import { kindOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { MemoryStore } from "../../core/store/memory_store.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import type { Writer } from "./writer.ts";

/** A pure decision that looks at the objects named by keys. */
export interface Reconciler {
  readonly name: string;
  /** Everything there is to look at; asked when leading begins. */
  allKeys(view: View): Iterable<string>;
  /** What a change makes worth a look. */
  keysOf(change: Applied, view: View): Iterable<string>;
  /** One key's decision. `wakeAtMs` asks for another look at that time. */
  reconcile(
    view: View,
    key: string,
    nowMs: number,
  ): { readonly changes: readonly Change[]; readonly wakeAtMs?: number };
}

/** Changes that belong together arrive together: the loop waits this long for more. */
const COALESCE_MS = 2;
/** Changes of one transaction, as in SwarmKit. */
const MAX_CHANGES = 200;
/** A loop without anything to do looks at everything again after this long: events only say "look". */
const FULL_LOOK_MS = 60_000;

/**
 * The one driver of all control loops: collects what changed, lets the decision look, commits what it
 * wants, looks again when somebody else was first, wakes at the decision's own deadlines.
 */
export async function runControlLoop(
  options: {
    reconciler: Reconciler;
    store: MemoryStore;
    writer: Writer;
    clock: Clock;
    logger: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { reconciler, store, writer, clock, logger } = options;
  const dirty = new Set<string>();
  const deadlines = new Map<string, number>();
  let wake: () => void = () => {};
  const look = (keys: Iterable<string>) => {
    const before = dirty.size;
    for (const key of keys) dirty.add(key);
    if (dirty.size > before) wake();
  };
  const unsubscribe = store.onApply((changes) => {
    for (const change of changes) look(reconciler.keysOf(change, store));
  });
  look(reconciler.allKeys(store));
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      if (dirty.size === 0) await rest();
      signal.throwIfAborted();
      await pause(clock, COALESCE_MS);
      const keys = [...dirty];
      dirty.clear();
      await decide(keys);
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", onAbort);
  }

  /** Sleeps until a change, the next deadline or the time of a full look. */
  async function rest(): Promise<void> {
    const now = clock.now();
    const next = Math.min(now + FULL_LOOK_MS, ...deadlines.values());
    await new Promise<void>((resolve) => {
      const cancel = clock.after(Math.max(0, next - now), resolve);
      wake = () => {
        cancel();
        resolve();
      };
    });
    wake = () => {};
    const due = clock.now();
    for (const [key, at] of deadlines) {
      if (at > due) continue;
      deadlines.delete(key);
      dirty.add(key);
    }
    if (due >= now + FULL_LOOK_MS) { for (const key of reconciler.allKeys(store)) dirty.add(key); }
  }

  async function decide(keys: readonly string[]): Promise<void> {
    let batch: Change[] = [];
    let batchKeys: string[] = [];
    for (const key of keys) {
      const { changes, wakeAtMs } = reconciler.reconcile(store, key, clock.now());
      if (wakeAtMs === undefined) deadlines.delete(key);
      else deadlines.set(key, wakeAtMs);
      if (changes.length === 0) continue;
      batch.push(...changes);
      batchKeys.push(key);
      if (batch.length < MAX_CHANGES) continue;
      await commit(batch, batchKeys);
      batch = [];
      batchKeys = [];
    }
    await commit(batch, batchKeys);
  }

  async function commit(changes: readonly Change[], keys: readonly string[]): Promise<void> {
    try {
      for (let i = 0; i < changes.length; i += MAX_CHANGES) {
        const part = changes.slice(i, i + MAX_CHANGES);
        await writer.write((tx) => {
          for (const change of part) tx.perform(change);
        }, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      const kind = kindOf(error);
      if (kind === "unavailable") throw error;
      if (!["out-of-sequence", "not-found", "conflict"].includes(kind)) {
        logger.log("error", "a decision could not be stored", {
          loop: reconciler.name,
          error: messageOf(error),
        });
        throw error;
      }
      // Somebody else changed one of the objects first: look again at what is there now.
      for (const key of keys) dirty.add(key);
    }
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
