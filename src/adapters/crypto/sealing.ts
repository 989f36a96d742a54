import { createCipheriv, createDecipheriv } from "node:crypto";
import { FleetError } from "../../base/errors.ts";

/**
 * Records at rest: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce.
 *
 * Random nonces under one key stay safe for 2^32 records (chance of a repetition below 2^-32, section 8.3
 * there): ten days of 5,000 writes a second without pause. The chance grows with the square: ten times as
 * many records are below 2^-25. The data key changes with the unlock key, else it lives as long as its
 * directory.
 */
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;
export const KEY_BYTES = 32;
/** What a record is longer than its content. */
export const SEAL_OVERHEAD_BYTES = HEAD_BYTES;

const text = new TextEncoder();

/**
 * `version, nonce, tag, ciphertext`. `context` says what and where the record is; it is authenticated, not
 * stored: the record opens only with the same words, so nobody can move it to another place.
 */
export function seal(key: Uint8Array, plain: Uint8Array, context: string): Uint8Array {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(text.encode(context));
  // GCM is a stream: everything comes out of update, final only makes the tag.
  const body = cipher.update(plain);
  cipher.final();
  const out = new Uint8Array(HEAD_BYTES + body.length);
  out[0] = VERSION;
  out.set(nonce, 1);
  out.set(cipher.getAuthTag(), 1 + NONCE_BYTES);
  out.set(body, HEAD_BYTES);
  return out;
}

/** @throws FleetError corrupt when the record was changed, torn, moved or sealed with another key */
export function open(key: Uint8Array, record: Uint8Array, context: string): Uint8Array {
  if (record.length < HEAD_BYTES) {
    throw new FleetError("corrupt", `${context} is damaged: it is too short for a sealed record`);
  }
  if (record[0] !== VERSION) {
    throw new FleetError(
      "corrupt",
      `${context} is damaged, or a newer fleet wrote it: its format is ${
        record[0]
      }, this fleet knows ${VERSION}`,
    );
  }
  try {
    const nonce = record.subarray(1, 1 + NONCE_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAAD(text.encode(context));
    decipher.setAuthTag(record.subarray(1 + NONCE_BYTES, HEAD_BYTES));
    const body = decipher.update(record.subarray(HEAD_BYTES));
    decipher.final();
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  } catch {
    throw new FleetError("corrupt", `${context} is damaged or was written with another key`);
  }
}
