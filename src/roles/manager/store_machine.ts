import { decodeChanges, decodeSnapshot, encodeSnapshot } from "../../core/store/codec.ts";
import type { MemoryStore } from "../../core/store/memory_store.ts";
import type { StateMachine } from "./raft_runner.ts";
import type { Snapshot } from "../../core/raft/types.ts";

/** The store as raft's state machine. */
export class StoreMachine implements StateMachine {
  readonly #store: MemoryStore;
  readonly #pause: () => Promise<void>;

  /** `pause` lets other work run between the chunks of a snapshot. */
  constructor(store: MemoryStore, pause: () => Promise<void>) {
    this.#store = store;
    this.#pause = pause;
  }

  apply(index: number, data: Uint8Array): void {
    if (data.length === 0) this.#store.advance(index);
    else this.#store.apply(index, decodeChanges(data));
  }

  restore(snapshot: Snapshot): void {
    const { tables } = decodeSnapshot(snapshot.data);
    this.#store.restore(snapshot.meta.index, tables);
  }

  async snapshot(): Promise<{ index: number; data: Uint8Array }> {
    const captured = this.#store.capture();
    return { index: captured.index, data: await encodeSnapshot(captured, this.#pause) };
  }
}
