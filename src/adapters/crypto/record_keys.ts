import { kindOf } from "../../base/errors.ts";
import { open, seal } from "./sealing.ts";

/**
 * The key under which a node's records are sealed, and the one before it while records under that are left.
 * All databases of a node share one of these, so that a change reaches them in the same moment.
 */
export class RecordKeys {
  #current: Uint8Array;
  #previous: Uint8Array | undefined;

  constructor(current: Uint8Array, previous?: Uint8Array) {
    this.#current = current;
    this.#previous = previous;
  }

  get current(): Uint8Array {
    return this.#current;
  }

  /** Undefined while every record is under the current key. */
  get previous(): Uint8Array | undefined {
    return this.#previous;
  }

  /** Seals under `next` from now on. What was sealed so far still opens. */
  rotate(next: Uint8Array): void {
    this.#previous = this.#current;
    this.#current = next;
  }

  /** No record is left under the key before. */
  forgetPrevious(): void {
    this.#previous = undefined;
  }

  seal(plain: Uint8Array, place: string): Uint8Array {
    return seal(this.#current, plain, place);
  }

  /** @throws FleetError corrupt, as `open` of sealing.ts says */
  open(record: Uint8Array, place: string): Uint8Array {
    try {
      return open(this.#current, record, place);
    } catch (error) {
      if (this.#previous === undefined || kindOf(error) !== "corrupt") throw error;
      return open(this.#previous, record, place);
    }
  }
}

/** One key stands for itself. */
export function recordKeys(keys: RecordKeys | Uint8Array): RecordKeys {
  return keys instanceof RecordKeys ? keys : new RecordKeys(keys);
}
