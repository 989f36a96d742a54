import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { FleetError } from "../../base/errors.ts";
import { KEY_BYTES, open, seal } from "./sealing.ts";

/**
 * The text form of the key under which a node's databases are encrypted: a word that says whether the
 * unlock key is needed, and base64.
 */
const CLEAR = "fleet-data-key-1";
const SEALED = "fleet-sealed-data-key-1";
const CONTEXT = "the data key";

export function newDataKey(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES));
}

/** With an unlock key, the text is worth nothing without it. */
export function formatDataKey(dataKey: Uint8Array, unlockKey?: Uint8Array): string {
  const bytes = unlockKey ? seal(unlockKey, dataKey, CONTEXT) : dataKey;
  return `${unlockKey ? SEALED : CLEAR} ${Buffer.from(bytes).toString("base64")}\n`;
}

/** Whether the unlock key is needed. */
export function isSealedDataKey(text: string): boolean {
  return text.startsWith(SEALED + " ");
}

/**
 * @throws FleetError unavailable (sealed, and no unlock key was given), unauthorized (the unlock key is
 *   another one), corrupt (the text is no data key)
 */
export function parseDataKey(text: string, unlockKey?: Uint8Array): Uint8Array {
  const match = /^(\S+) ([A-Za-z0-9+/]+={0,2})\s*$/.exec(text);
  const bytes = new Uint8Array(Buffer.from(match?.[2] ?? "", "base64"));
  if (match?.[1] === CLEAR && bytes.length === KEY_BYTES) return bytes;
  if (match?.[1] !== SEALED) {
    throw new FleetError(
      "corrupt",
      "the data key is damaged; restore the data directory from a backup, or run fleet leave --force and join again",
    );
  }
  if (!unlockKey) {
    throw new FleetError("unavailable", "this manager is locked: run fleet unlock");
  }
  try {
    return open(unlockKey, bytes, CONTEXT);
  } catch {
    throw new FleetError(
      "unauthorized",
      "the unlock key does not fit; another manager shows the current one with fleet unlock-key",
    );
  }
}
