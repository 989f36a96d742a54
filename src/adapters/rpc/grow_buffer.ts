/**
 * Bytes collected until someone takes them. Grows by doubling, so many small pieces cost one copy each
 * and no object per piece: a peer that drips single bytes cannot make us hold more than it sent twice.
 */
export class GrowBuffer {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(readonly initialCapacity: number) {
    this.#bytes = new Uint8Array(0);
  }

  get length(): number {
    return this.#length;
  }

  /** Makes room for `n` more bytes and returns where they start in {@link buffer}. */
  reserve(n: number): number {
    const start = this.#length;
    const needed = start + n;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2, this.initialCapacity));
      grown.set(this.#bytes.subarray(0, start));
      this.#bytes = grown;
    }
    this.#length = needed;
    return start;
  }

  append(piece: Uint8Array): void {
    const start = this.reserve(piece.length);
    this.#bytes.set(piece, start);
  }

  /** The memory behind; valid until the next reserve, append or take. */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** What was collected; the buffer starts empty again with new memory. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = new Uint8Array(0);
    this.#length = 0;
    return taken;
  }

  /** Forgets the content and keeps up to `keepCapacity` bytes of memory for reuse. */
  clear(keepCapacity: number): void {
    this.#length = 0;
    if (this.#bytes.length > keepCapacity) this.#bytes = new Uint8Array(0);
  }
}
