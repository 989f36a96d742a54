import type { Duplex } from "../base/duplex.ts";
import { FleetError } from "../base/errors.ts";
import type { RpcStream } from "./rpc.ts";

/** Bytes of one message; what is longer goes in pieces. */
const PIECE_BYTES = 32 * 1024;

/** A stream between nodes as a connection of bytes. The stream's window is the back-pressure. */
export class StreamDuplex implements Duplex {
  readonly #stream: RpcStream;
  readonly #messages: AsyncIterator<unknown>;
  readonly #onClose: () => void;
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;
  #closed = false;

  constructor(
    stream: RpcStream,
    options: { messages?: AsyncIterator<unknown>; onClose?: () => void } = {},
  ) {
    this.#stream = stream;
    this.#messages = options.messages ?? stream[Symbol.asyncIterator]();
    this.#onClose = options.onClose ?? (() => {});
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const next = await this.#messages.next();
      if (next.done) return null;
      if (!(next.value instanceof Uint8Array)) {
        throw new FleetError("invalid", "a message without bytes between two nodes");
      }
      this.#rest = next.value;
    }
    const count = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    // A copy: the caller reads into its buffer again before the piece has left.
    const piece = bytes.slice(0, PIECE_BYTES);
    await this.#stream.send(piece);
    return piece.length;
  }

  async closeWrite(): Promise<void> {
    this.#ended = true;
    await this.#stream.end();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A failure would overtake the end that was sent, and what was said before it.
    if (this.#ended) void this.#drain();
    else this.#stream.cancel("the other end of the connection has gone");
    this.#onClose();
  }

  /** Until the other side has ended as well. */
  async #drain(): Promise<void> {
    try {
      while (!(await this.#messages.next()).done);
    } catch {
      // That is an end, too.
    }
  }
}
