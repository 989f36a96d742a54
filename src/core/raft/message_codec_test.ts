import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeConfState, decodeMessage, encodeConfState, encodeMessage } from "./message_codec.ts";
import type { Message } from "./types.ts";

const envelope = { from: "n1", to: "n2", term: 2 ** 40 + 3 };
const messages: Message[] = [
  { type: "pre-vote", ...envelope, lastIndex: 5, lastTerm: 4, force: false, expect: 3 },
  { type: "vote", ...envelope, lastIndex: 5, lastTerm: 4, force: true, expect: 0 },
  { type: "pre-vote-reply", ...envelope, reject: true, expect: 300, commit: 9, commitTerm: 2 },
  { type: "vote-reply", ...envelope, reject: false, expect: 0, commit: 0, commitTerm: 0 },
  {
    type: "append",
    ...envelope,
    prevIndex: 127,
    prevTerm: 3,
    commit: 120,
    expect: 1,
    entries: [
      { index: 128, term: 3, type: "normal", data: new Uint8Array(0) },
      { index: 129, term: 4, type: "conf", data: new Uint8Array(300).fill(7) },
    ],
  },
  {
    type: "append-reply",
    ...envelope,
    reject: true,
    index: 9,
    hintIndex: 4,
    hintTerm: 2,
    commit: 3,
  },
  {
    type: "heartbeat",
    ...envelope,
    commit: 5,
    round: 77,
    expect: 4,
    known: [["n1", 5], ["n2", 4]],
  },
  { type: "heartbeat-reply", ...envelope, round: 77, commit: 4, regressed: true },
  {
    type: "snapshot",
    ...envelope,
    snapshot: {
      meta: { index: 9, term: 2, conf: { voters: ["n1"], learners: ["n2"] } },
      data: new Uint8Array([1, 2, 3]),
    },
  },
  { type: "timeout-now", ...envelope },
  { type: "transfer", ...envelope, transferee: "n3" },
  { type: "read-index", ...envelope, context: "r-ü" },
  { type: "read-index-reply", ...envelope, context: "r", index: 12 },
];

Deno.test("every message survives encoding", () => {
  for (const message of messages) assert.deepEqual(decodeMessage(encodeMessage(message)), message);
});

Deno.test("a cut message is refused, wherever it is cut", () => {
  for (const message of messages) {
    const bytes = encodeMessage(message);
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => decodeMessage(bytes.subarray(0, end)), { kind: "corrupt" });
    }
    assert.throws(() => decodeMessage(new Uint8Array([...bytes, 0])), /left over/);
  }
});

Deno.test("random bytes never do anything but be refused or be a message", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    try {
      decodeMessage(bytes);
    } catch (error) {
      assert.equal((error as { kind?: string }).kind, "corrupt");
    }
  }));
});

Deno.test("a membership survives encoding", () => {
  const conf = { voters: ["a", "b"], learners: ["c"] };
  assert.deepEqual(decodeConfState(encodeConfState(conf)), conf);
});
