import assert from "node:assert/strict";
import { nextRotationMs, ROTATE_EVERY_MS, rotateNetworkKeys } from "./network_keys.ts";
import { primaryKey } from "../../model/cluster.ts";

let made = 0;
const source = (nowMs: number) => ({
  nowMs,
  randomBytes: (n: number) => new Uint8Array(n).fill(++made),
});

Deno.test("three keys at first; a rotation drops the oldest and sends with one that all have", () => {
  const first = rotateNetworkKeys([], source(0));
  assert.deepEqual(first.map(({ ID }) => ID), [1, 2, 3]);
  assert.equal(primaryKey(first), 2);
  assert.equal(new Set(first.map(({ Key }) => Key)).size, 3);
  const second = rotateNetworkKeys(first, source(1_000));
  assert.deepEqual(second.map(({ ID }) => ID), [2, 3, 4]);
  assert.equal(primaryKey(second), 3);
  // Whoever is one rotation behind can read the new ones, and is understood by them.
  assert(first.some(({ ID }) => ID === primaryKey(second)));
  assert(second.some(({ ID }) => ID === primaryKey(first)));
});

Deno.test("the next rotation is due half a day after the newest key", () => {
  const NetworkKeys = rotateNetworkKeys([], source(5_000));
  assert.equal(nextRotationMs({ NetworkKeys }), 5_000 + ROTATE_EVERY_MS);
  assert.equal(nextRotationMs({}), 0);
});
