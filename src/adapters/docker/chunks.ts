import { FleetError } from "../../base/errors.ts";

/** A size in hexadecimal with what may follow it, or a trailer; engines write neither long. */
const MAX_LINE_BYTES = 4 * 1024;
const LF = 10;
const CR = 13;
const SEMICOLON = 59;

/** Takes the chunks of an HTTP/1.1 body apart, however the bytes are cut (RFC 9112, section 7.1). */
export class Dechunker {
  #inside: "size" | "data" | "data end" | "trailer" | "end" = "size";
  /** Of the chunk's data. */
  #left = 0;
  #size = 0;
  #digits = 0;
  /** Of the line that is read, without its end. */
  #line = 0;
  #extension = false;

  /** Whether the last chunk has come. */
  get over(): boolean {
    return this.#inside === "end";
  }

  /** The data in the next `bytes`, as a copy. @throws FleetError unavailable for what are no chunks */
  take(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(bytes.length);
    let length = 0;
    for (let at = 0; at < bytes.length && !this.over;) {
      if (this.#inside === "data") {
        const count = Math.min(this.#left, bytes.length - at);
        out.set(bytes.subarray(at, at + count), length);
        length += count;
        at += count;
        this.#left -= count;
        if (this.#left === 0) this.#begin("data end");
      } else this.#control(bytes[at++]!);
    }
    return out.subarray(0, length);
  }

  #begin(what: "size" | "data end" | "trailer"): void {
    this.#inside = what;
    this.#size = this.#digits = this.#line = 0;
    this.#extension = false;
  }

  #control(byte: number): void {
    if (byte === LF) return this.#endLine();
    if (byte === CR) return;
    if (++this.#line > MAX_LINE_BYTES || this.#inside === "data end") throw noChunks();
    if (this.#inside !== "size" || this.#extension) return;
    if (byte === SEMICOLON) this.#extension = true;
    else {
      const digit = parseInt(String.fromCharCode(byte), 16);
      this.#size = this.#size * 16 + digit;
      if (++this.#digits > 8 || Number.isNaN(digit)) throw noChunks();
    }
  }

  #endLine(): void {
    if (this.#inside === "data end") this.#begin("size");
    else if (this.#inside === "trailer") {
      if (this.#line === 0) this.#inside = "end";
      else this.#begin("trailer");
    } else if (this.#digits === 0) throw noChunks();
    else if (this.#size === 0) this.#begin("trailer");
    else {
      this.#left = this.#size;
      this.#inside = "data";
    }
  }
}

function noChunks(): FleetError {
  return new FleetError("unavailable", "the Docker Engine's answer cannot be read: no chunks");
}
