import type { Random } from "./random.ts";

/** Length of an object id, as in SwarmKit: 25 lower-case base-36 characters. */
export const ID_LENGTH = 25;

/** `bytes` as one big-endian integer in base 36, left-padded with zeros to `length` characters. */
export function base36(bytes: Uint8Array, length: number): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value.toString(36).padStart(length, "0");
}

/** A fresh object id: 128 random bits in 25 base-36 characters. */
export function newId(random: Random): string {
  return base36(random.bytes(16), ID_LENGTH).slice(0, ID_LENGTH);
}

/** Whether `text` has the shape of an object id. */
export function isId(text: string): boolean {
  return /^[0-9a-z]{25}$/.test(text);
}
