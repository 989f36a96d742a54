import assert from "node:assert/strict";
import fc from "fast-check";
import { open, seal, SEAL_OVERHEAD_BYTES } from "./sealing.ts";

const KEY = new Uint8Array(32).fill(3);
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a record opens with its key and in its place, and nowhere else", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 4_000 }), fc.string(), (plain, place) => {
    const record = seal(KEY, plain, place);
    assert.equal(record.length, plain.length + SEAL_OVERHEAD_BYTES);
    assert.deepEqual(open(KEY, record, place), plain);
    assert.throws(() => open(KEY, record, place + "x"), { kind: "corrupt" });
    assert.throws(() => open(new Uint8Array(32), record, place), { kind: "corrupt" });
  }));
});

Deno.test("any changed bit and any cut is noticed, and the place is named", () => {
  const record = seal(KEY, bytes("some words"), "entry 7");
  for (let bit = 0; bit < record.length * 8; bit++) {
    const changed = record.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => open(KEY, changed, "entry 7"), { kind: "corrupt", message: /^entry 7 is/ });
  }
  for (let length = 0; length < record.length; length++) {
    assert.throws(() => open(KEY, record.slice(0, length), "entry 7"), { kind: "corrupt" });
  }
});

Deno.test("two records of the same words share nothing", () => {
  const [a, b] = [seal(KEY, bytes("same"), "x"), seal(KEY, bytes("same"), "x")];
  assert.notDeepEqual(a.subarray(1, 13), b.subarray(1, 13));
  assert.notDeepEqual(a.subarray(SEAL_OVERHEAD_BYTES), b.subarray(SEAL_OVERHEAD_BYTES));
});

Deno.test("a large record survives in one piece", () => {
  const plain = new Uint8Array(5_000_000).map((_, i) => i * 31);
  assert.deepEqual(open(KEY, seal(KEY, plain, "big"), "big"), plain);
});
