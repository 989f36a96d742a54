import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { FleetError } from "../../base/errors.ts";

/** AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. */
const VERSION = 1;
const NONCE = 12;
const TAG = 16;
export const KEY_BYTES = 32;

/** `version, nonce, tag, ciphertext`. `context` is bound to the record: it opens only with the same. */
export function seal(key: Uint8Array, plain: Uint8Array, context: string): Uint8Array {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(new TextEncoder().encode(context));
  const body = cipher.update(plain);
  const rest = cipher.final();
  const out = new Uint8Array(1 + NONCE + TAG + body.length + rest.length);
  out[0] = VERSION;
  out.set(nonce, 1);
  out.set(cipher.getAuthTag(), 1 + NONCE);
  out.set(body, 1 + NONCE + TAG);
  out.set(rest, 1 + NONCE + TAG + body.length);
  return out;
}

/** @throws FleetError corrupt when the record was changed, torn, moved or sealed with another key */
export function open(key: Uint8Array, record: Uint8Array, context: string): Uint8Array {
  if (record[0] !== VERSION || record.length < 1 + NONCE + TAG) {
    throw new FleetError("corrupt", `${context} is not a sealed record`);
  }
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, record.subarray(1, 1 + NONCE));
    decipher.setAAD(new TextEncoder().encode(context));
    decipher.setAuthTag(record.subarray(1 + NONCE, 1 + NONCE + TAG));
    const body = decipher.update(record.subarray(1 + NONCE + TAG));
    const rest = decipher.final();
    const out = new Uint8Array(body.length + rest.length);
    out.set(body);
    out.set(rest, body.length);
    return out;
  } catch {
    throw new FleetError("corrupt", `${context} is damaged or was written with another key`);
  }
}
