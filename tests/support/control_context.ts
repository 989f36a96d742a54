import type { ControlContext } from "../../src/core/control/context.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import { Transaction } from "../../src/core/store/transaction.ts";

/** When everything of a control method under test happens. */
export const CONTROL_NOW = Date.UTC(2026, 0, 1);

/** One transaction on an empty store, with ids `id1`, `id2` … and random bytes that are 0. */
export function controlContext(): ControlContext {
  let ids = 0;
  return {
    tx: new Transaction(new MemoryStore(), CONTROL_NOW),
    nowMs: CONTROL_NOW,
    newId: () => `id${++ids}`,
    randomBytes: (n) => new Uint8Array(n),
    managers: [],
    roots: undefined as never,
  };
}
