import { FleetError } from "../../base/errors.ts";

/** Integers in the codecs are at most this; a JavaScript number is exact up to it. */
const MAX_VARINT = Number.MAX_SAFE_INTEGER;
/** Up to this length a text's length takes one byte, and copying by hand is faster. */
const SHORT_TEXT = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Writes varints, strings and byte strings into one growing buffer. */
export class ByteWriter {
  #buffer: Uint8Array;
  #length = 0;

  constructor(capacity = 128) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** A whole number from 0 to 2^53 - 1, seven bits per byte, low bits first. */
  uint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  text(value: string): void {
    const start = this.#length;
    if (value.length <= SHORT_TEXT) {
      // Ids are short and ASCII; the encoder's call would cost more than the work.
      this.#reserve(value.length + 1);
      this.#buffer[this.#length++] = value.length;
      let i = 0;
      for (; i < value.length; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        this.#buffer[this.#length++] = code;
      }
      if (i === value.length) return;
      this.#length = start;
    }
    this.bytes(encoder.encode(value));
  }

  bytes(value: Uint8Array): void {
    this.uint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws FleetError corrupt where the bytes end early. */
export class ByteReader {
  readonly #buffer: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** `what` names the value in errors, for example `raft message`. */
  constructor(buffer: Uint8Array, what: string) {
    this.#buffer = buffer;
    this.#what = what;
  }

  uint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.#buffer[this.#offset++];
      if (byte === undefined) throw this.corrupt("it ends in the middle of a number");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > MAX_VARINT) break;
        return value;
      }
      factor *= 0x80;
    }
    throw this.corrupt("a number is too large");
  }

  text(): string {
    const length = this.#buffer[this.#offset];
    if (length !== undefined && length <= SHORT_TEXT) {
      const begin = this.#offset + 1;
      const end = begin + length;
      if (end <= this.#buffer.length) {
        let value = "";
        let i = begin;
        for (; i < end; i++) {
          const code = this.#buffer[i]!;
          if (code >= 0x80) break;
          value += String.fromCharCode(code);
        }
        if (i === end) {
          this.#offset = end;
          return value;
        }
      }
    }
    try {
      return decoder.decode(this.bytes());
    } catch (error) {
      if (error instanceof FleetError) throw error;
      throw this.corrupt("a text is not UTF-8");
    }
  }

  /** A view into the buffer, not a copy. */
  bytes(): Uint8Array {
    const length = this.uint();
    const end = this.#offset + length;
    if (end > this.#buffer.length) throw this.corrupt("it ends in the middle of a byte string");
    const out = this.#buffer.subarray(this.#offset, end);
    this.#offset = end;
    return out;
  }

  /** For counts of things that take at least one byte each: refuses what cannot fit. */
  count(): number {
    const n = this.uint();
    if (n > this.#buffer.length - this.#offset) {
      throw this.corrupt("it promises more than it holds");
    }
    return n;
  }

  /** The rest must be empty. */
  end(): void {
    if (this.#offset !== this.#buffer.length) throw this.corrupt("bytes are left over");
  }

  corrupt(why: string): FleetError {
    return new FleetError("corrupt", `cannot decode a ${this.#what}: ${why}`);
  }
}
