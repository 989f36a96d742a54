import { FleetError } from "../../base/errors.ts";
import type { Duplex } from "../../base/duplex.ts";
import { header } from "./request_head.ts";
import type { RequestHead } from "./request_head.ts";

const MAX_CHUNK_LINE = 1_024;
const MAX_TRAILERS = 100;
const READ_BYTES = 64 * 1024;

/** The body is larger than fleet's routes take: 413, which no other refusal is. */
export class BodyTooLargeError extends FleetError {
  constructor(maxBytes: number) {
    super("invalid", `request body too large: at most ${maxBytes} bytes are read`);
  }
}

/** Reads a request's body, by length or in chunks, and keeps what follows it for the next request. */
export class BodyReader {
  readonly #from: Duplex;
  readonly #head: RequestHead;
  readonly #maxBytes: number;
  #buffer: Uint8Array;

  constructor(from: Duplex, head: RequestHead, after: Uint8Array, maxBytes: number) {
    this.#from = from;
    this.#head = head;
    this.#buffer = after;
    this.#maxBytes = maxBytes;
  }

  /** Bytes of the next request that came with this one. */
  get rest(): Uint8Array {
    return this.#buffer;
  }

  /** Before anything is read: who waits for a word to send the body need not. @throws BodyTooLargeError */
  checkLength(): void {
    if (header(this.#head, "transfer-encoding") !== undefined) return;
    if (Number(header(this.#head, "content-length") ?? 0) > this.#maxBytes) this.#tooLarge();
  }

  /** @throws FleetError invalid when the body is cut off or malformed; BodyTooLargeError */
  async readAll(): Promise<Uint8Array> {
    if (header(this.#head, "transfer-encoding") !== undefined) return await this.#chunks();
    this.checkLength();
    return await this.#take(Number(header(this.#head, "content-length") ?? 0));
  }

  async #chunks(): Promise<Uint8Array> {
    let out = new Uint8Array(READ_BYTES);
    let total = 0;
    for (;;) {
      const line = await this.#line();
      const size = /^([0-9a-fA-F]{1,8})(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw new FleetError("invalid", "bad HTTP request: malformed chunk");
      const length = parseInt(size, 16);
      if (total + length > this.#maxBytes) this.#tooLarge();
      if (length === 0) break;
      // One array for all: a body of one-byte chunks must not cost an object for each of them.
      if (total + length > out.length) {
        const grown = new Uint8Array(Math.min(this.#maxBytes, 2 * (total + length)));
        grown.set(out.subarray(0, total));
        out = grown;
      }
      await this.#takeInto(out.subarray(total, total + length));
      total += length;
      if (await this.#line() !== "") {
        throw new FleetError("invalid", "bad HTTP request: malformed chunk");
      }
    }
    // Trailers say nothing to us.
    for (let trailers = 0; await this.#line() !== ""; trailers++) {
      if (trailers >= MAX_TRAILERS) {
        throw new FleetError("invalid", "bad HTTP request: too many trailers");
      }
    }
    return out.subarray(0, total);
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(10);
      if (end >= 0) {
        const line = new TextDecoder("latin1").decode(this.#buffer.subarray(0, end));
        this.#buffer = this.#buffer.slice(end + 1);
        if (!line.endsWith("\r")) {
          throw new FleetError("invalid", "bad HTTP request: malformed chunk");
        }
        return line.slice(0, -1);
      }
      if (this.#buffer.length > MAX_CHUNK_LINE) {
        throw new FleetError("invalid", "bad HTTP request: malformed chunk");
      }
      await this.#fill();
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    await this.#takeInto(out);
    return out;
  }

  /** Reads straight into `out`, so that a body that drips is not copied again for every drop. */
  async #takeInto(out: Uint8Array): Promise<void> {
    let done = Math.min(this.#buffer.length, out.length);
    out.set(this.#buffer.subarray(0, done));
    this.#buffer = this.#buffer.slice(done);
    while (done < out.length) {
      const n = await this.#from.read(out.subarray(done, Math.min(done + READ_BYTES, out.length)));
      if (n === null) throw new FleetError("invalid", "bad HTTP request: the body was cut off");
      done += n;
    }
  }

  async #fill(): Promise<void> {
    const chunk = new Uint8Array(MAX_CHUNK_LINE);
    const n = await this.#from.read(chunk);
    if (n === null) throw new FleetError("invalid", "bad HTTP request: the body was cut off");
    const grown = new Uint8Array(this.#buffer.length + n);
    grown.set(this.#buffer);
    grown.set(chunk.subarray(0, n), this.#buffer.length);
    this.#buffer = grown;
  }

  #tooLarge(): never {
    throw new BodyTooLargeError(this.#maxBytes);
  }
}
