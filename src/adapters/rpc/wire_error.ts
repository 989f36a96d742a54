/** Failures as they travel in Error and GoAway frames: JSON `{k: kind, m: sentence}`. */
import { type ErrorKind, FleetError } from "../../base/errors.ts";
import { MAX_CONTROL_BYTES } from "./frame.ts";

const KINDS: Readonly<Record<ErrorKind, true>> = {
  "invalid": true,
  "not-found": true,
  "conflict": true,
  "out-of-sequence": true,
  "unauthorized": true,
  "forbidden": true,
  "unavailable": true,
  "unimplemented": true,
  "timeout": true,
  "canceled": true,
  "corrupt": true,
  "internal": true,
};

const MAX_SENTENCE_CHARS = MAX_CONTROL_BYTES / 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeError(error: FleetError): Uint8Array {
  const m = error.message.slice(0, MAX_SENTENCE_CHARS);
  return encoder.encode(JSON.stringify({ k: error.kind, m }));
}

/** Never throws: what cannot be read becomes `internal`. */
export function decodeError(payload: Uint8Array): FleetError {
  try {
    const value: unknown = JSON.parse(decoder.decode(payload));
    if (typeof value === "object" && value !== null && "k" in value && "m" in value) {
      const { k, m } = value;
      if (typeof k === "string" && Object.hasOwn(KINDS, k) && typeof m === "string") {
        return new FleetError(k as ErrorKind, m.slice(0, MAX_SENTENCE_CHARS));
      }
    }
  } catch { /* falls through to the sentence below */ }
  return new FleetError("internal", "the other side failed with an unreadable reason");
}
