import type { Cluster, StoredNetworkKey } from "../../model/cluster.ts";
import { timeText } from "../../model/meta.ts";

/** How old the newest key gets before another one is made, as in Swarm. */
export const ROTATE_EVERY_MS = 12 * 3600_000;
/** A rotation by hand follows the last one after this at the earliest: every node must have heard of that. */
export const MIN_ROTATION_MS = 10_000;
/** Previous, in use, next. */
const KEPT = 3;
export const KEY_BYTES = 32;

export interface KeySource {
  readonly nowMs: number;
  /** Fresh random bytes, fit for secrets. */
  randomBytes(n: number): Uint8Array;
}

/**
 * The keys of encrypted networks after one rotation: the oldest goes, the next becomes the one that is
 * sent with, a new one becomes the next. Every node has had that next key since the last rotation, so
 * nobody gets what he cannot read. At first there are three at once.
 */
export function rotateNetworkKeys(
  before: readonly StoredNetworkKey[],
  { nowMs, randomBytes }: KeySource,
): StoredNetworkKey[] {
  const keys = before.slice(-(KEPT - 1));
  let id = before.reduce((highest, key) => Math.max(highest, key.ID), 0);
  while (keys.length < KEPT) {
    keys.push({ ID: ++id, Key: randomBytes(KEY_BYTES).toBase64(), CreatedAt: timeText(nowMs) });
  }
  return keys;
}

/** When the next rotation is due, in ms since the epoch. */
export function nextRotationMs({ NetworkKeys = [] }: Pick<Cluster, "NetworkKeys">): number {
  const newest = NetworkKeys.at(-1);
  return newest === undefined ? 0 : Date.parse(newest.CreatedAt) + ROTATE_EVERY_MS;
}
