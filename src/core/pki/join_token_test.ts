import assert from "node:assert/strict";
import fc from "fast-check";
import { DIGEST_LENGTH, formatJoinToken, parseJoinToken } from "./join_token.ts";

const DIGEST = "1z".repeat(DIGEST_LENGTH / 2);

Deno.test("a token carries digest and secret, padded to their lengths", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (secret) => {
    const text = formatJoinToken(DIGEST, secret);
    assert.match(text, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
    assert.equal(parseJoinToken(text).digest, DIGEST);
    assert.ok(text.endsWith(parseJoinToken(text).secret));
  }));
  assert.equal(
    parseJoinToken(formatJoinToken(DIGEST, new Uint8Array(16))).secret,
    "0".repeat(25),
  );
});

Deno.test("spaces around a pasted token do not matter", () => {
  const text = formatJoinToken(DIGEST, new Uint8Array(16));
  assert.deepEqual(parseJoinToken(` ${text}\n`), parseJoinToken(text));
});

Deno.test("what is no token is refused with where to get one, and never repeated", () => {
  const good = formatJoinToken(DIGEST, new Uint8Array(16).fill(9));
  const bad = [
    "",
    "SWMTKN",
    good.slice(1),
    good.slice(0, -1),
    good + "0",
    good + "-0",
    good.toUpperCase(),
    good.replace("-1-", "-2-"),
    good.replace("-1-", "-2-1-"),
    good.replace(DIGEST, DIGEST.slice(1)),
    good.replace(/.$/, "é"),
  ];
  for (const text of bad) {
    assert.throws(() => parseJoinToken(text), (error: Error) => {
      assert.match(error.message, /fleet join-token worker/);
      return text.length < 20 || !error.message.includes(text);
    });
  }
  fc.assert(fc.property(fc.string(), (text) => {
    assert.throws(() => parseJoinToken(text), { kind: "invalid" });
  }));
});
