/** The longest datagram. */
const BUFFER = 65_536;
/** Buffers that are made at once. */
const SLAB = 64;

/**
 * Memory for sockets that wait for datagrams of any length. It is made many at a time: of so large a piece
 * the system gives only what is written to (a page or two for the usual datagram), while a piece for one
 * socket is cleared as a whole, 64 KiB for each.
 */
export class ReceiveBuffers {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  take(): Uint8Array<ArrayBuffer> {
    if (this.#free.length === 0) {
      const slab = new ArrayBuffer(SLAB * BUFFER);
      for (let i = SLAB - 1; i >= 0; i--) {
        this.#free.push(new Uint8Array(slab, i * BUFFER, BUFFER));
      }
    }
    return this.#free.pop()!;
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer);
  }
}
