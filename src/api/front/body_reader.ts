import { FleetError } from "../../base/errors.ts";
import type { Duplex } from "./duplex.ts";
import { header } from "./request_head.ts";
import type { RequestHead } from "./request_head.ts";

const MAX_CHUNK_LINE = 1_024;
const READ_BYTES = 64 * 1024;

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

  /** @throws FleetError invalid when the body is too large, cut off or malformed */
  async readAll(): Promise<Uint8Array> {
    if (header(this.#head, "transfer-encoding") !== undefined) return await this.#chunks();
    const length = Number(header(this.#head, "content-length") ?? 0);
    if (length > this.#maxBytes) this.#tooLarge();
    return await this.#take(length);
  }

  async #chunks(): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const line = await this.#line();
      const size = /^([0-9a-fA-F]{1,8})(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw new FleetError("invalid", "bad HTTP request: malformed chunk");
      const length = parseInt(size, 16);
      total += length;
      if (total > this.#maxBytes) this.#tooLarge();
      if (length === 0) break;
      parts.push(await this.#take(length));
      if (await this.#line() !== "") {
        throw new FleetError("invalid", "bad HTTP request: malformed chunk");
      }
    }
    while (await this.#line() !== "") { /* trailers say nothing to us */ }
    const out = new Uint8Array(total);
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
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
    while (this.#buffer.length < length) await this.#fill(length - this.#buffer.length);
    const taken = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    return taken;
  }

  async #fill(wanted = MAX_CHUNK_LINE): Promise<void> {
    const chunk = new Uint8Array(Math.min(wanted, READ_BYTES));
    const n = await this.#from.read(chunk);
    if (n === null) throw new FleetError("invalid", "bad HTTP request: the body was cut off");
    const grown = new Uint8Array(this.#buffer.length + n);
    grown.set(this.#buffer);
    grown.set(chunk.subarray(0, n), this.#buffer.length);
    this.#buffer = grown;
  }

  #tooLarge(): never {
    throw new FleetError(
      "invalid",
      `request body too large: at most ${this.#maxBytes} bytes are read`,
    );
  }
}
