import { FleetError } from "../../base/errors.ts";

const PREFIX = "SWMKEY-1-";
export const UNLOCK_KEY_BYTES = 32;

/** `SWMKEY-1-` and unpadded base64, Docker Swarm's format. */
export function formatUnlockKey(key: Uint8Array): string {
  return PREFIX + btoa(String.fromCharCode(...key)).replace(/=+$/, "");
}

/** @throws FleetError invalid. The message never repeats the text: it may be nearly right. */
export function parseUnlockKey(text: string): Uint8Array {
  const body = text.trim();
  // 32 bytes are 43 characters of base64; only these decode to exactly one key.
  if (body.startsWith(PREFIX) && /^[A-Za-z0-9+/]{43}$/.test(body.slice(PREFIX.length))) {
    const key = Uint8Array.from(atob(body.slice(PREFIX.length)), (char) => char.charCodeAt(0));
    if (key.length === UNLOCK_KEY_BYTES) return key;
  }
  throw new FleetError(
    "invalid",
    "invalid unlock key: it looks like SWMKEY-1-…; fleet unlock-key on an unlocked manager prints it",
  );
}
