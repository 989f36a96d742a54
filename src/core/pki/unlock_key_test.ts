import assert from "node:assert/strict";
import fc from "fast-check";
import { formatUnlockKey, parseUnlockKey } from "./unlock_key.ts";

Deno.test("an unlock key reads back as it was written", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
    const text = formatUnlockKey(key);
    assert.match(text, /^SWMKEY-1-[A-Za-z0-9+/]{43}$/);
    assert.deepEqual(parseUnlockKey(`${text}\n`), key);
  }));
});

Deno.test("a wrong unlock key is refused and not repeated", () => {
  const good = formatUnlockKey(new Uint8Array(32).fill(200));
  for (
    const text of ["", good.slice(1), good.slice(0, -1), good + "A", good.replace("-1-", "-2-")]
  ) {
    assert.throws(() => parseUnlockKey(text), (error: Error) => {
      assert.match(error.message, /fleet unlock-key/);
      return text === "" || !error.message.includes(text);
    });
  }
  fc.assert(fc.property(fc.string(), (text) => {
    assert.throws(() => parseUnlockKey(text), { kind: "invalid" });
  }));
});
