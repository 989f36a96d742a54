import assert from "node:assert/strict";
import { formatDataKey, isSealedDataKey, newDataKey, parseDataKey } from "./data_key.ts";

const UNLOCK = new Uint8Array(32).fill(5);

Deno.test("a data key reads back, sealed or not", () => {
  const key = newDataKey();
  assert.deepEqual(parseDataKey(formatDataKey(key)), key);
  assert.equal(isSealedDataKey(formatDataKey(key)), false);
  const sealed = formatDataKey(key, UNLOCK);
  assert.equal(isSealedDataKey(sealed), true);
  assert.deepEqual(parseDataKey(sealed, UNLOCK), key);
  assert.ok(!sealed.includes(formatDataKey(key).split(" ")[1]!.slice(0, 20)));
});

Deno.test("a sealed key asks for the unlock key and takes no other", () => {
  const sealed = formatDataKey(newDataKey(), UNLOCK);
  assert.throws(() => parseDataKey(sealed), { kind: "unavailable", message: /fleet unlock/ });
  assert.throws(() => parseDataKey(sealed, new Uint8Array(32)), {
    kind: "unauthorized",
    message: /unlock key does not fit/,
  });
});

Deno.test("a damaged key is named as such", () => {
  const good = formatDataKey(newDataKey());
  for (const text of ["", "\n", "x", good.slice(0, -3), good + "x", good.replace("-1 ", "-2 ")]) {
    assert.throws(() => parseDataKey(text), { kind: "corrupt", message: /data key is damaged/ });
  }
});
