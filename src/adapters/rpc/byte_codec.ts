/** Compact fields over bytes: what the raft codec is written with. */
import { assert } from "../../base/assert.ts";
import { GrowBuffer } from "./grow_buffer.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export class ByteWriter {
  readonly out: GrowBuffer;
  constructor(initialCapacity: number) {
    this.out = new GrowBuffer(initialCapacity);
  }

  u8(value: number): void {
    const at = this.out.reserve(1);
    this.out.buffer[at] = value;
  }

  /** A non-negative integer up to 2^53 - 1, seven bits per byte, lowest first (LEB128). */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `varint of ${value}`);
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.u8(rest);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.out.append(value);
  }

  text(value: string): void {
    this.bytes(encoder.encode(value));
  }
}

/** Thrown inside decoders only; they turn it into a sentence. */
export class MalformedBytes extends Error {
  override readonly name = "MalformedBytes";
}

export class ByteReader {
  #at = 0;
  constructor(readonly from: Uint8Array) {}

  get remaining(): number {
    return this.from.length - this.#at;
  }

  u8(): number {
    const value = this.from[this.#at];
    if (value === undefined) throw new MalformedBytes("ends too early");
    this.#at++;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && i > 0) throw new MalformedBytes("a number with leading zeros");
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new MalformedBytes("a number beyond 2^53");
  }

  /** A count of things that take at least `minBytes` each, so it cannot promise more than there is. */
  count(minBytes: number): number {
    const n = this.varint();
    if (n * minBytes > this.remaining) throw new MalformedBytes(`${n} items announced`);
    return n;
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const length = this.varint();
    if (length > this.remaining) throw new MalformedBytes(`${length} bytes announced`);
    this.#at += length;
    return this.from.subarray(this.#at - length, this.#at);
  }

  text(): string {
    try {
      return decoder.decode(this.bytes());
    } catch (error) {
      if (error instanceof MalformedBytes) throw error;
      throw new MalformedBytes("text that is not UTF-8");
    }
  }
}
