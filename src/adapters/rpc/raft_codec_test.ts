import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BatchEncoder,
  type BatchMessage,
  decodeBatch,
  readSnapshotHead,
  snapshotHead,
  snapshotMessage,
} from "./raft_codec.ts";

const PLAIN = { noNullPrototype: true } as const;
const num = fc.oneof(fc.nat(300), fc.maxSafeNat());
const id = fc.string({ unit: "grapheme", maxLength: 30 });
const entry = fc.record({
  index: num,
  term: num,
  type: fc.constantFrom("normal" as const, "conf" as const),
  data: fc.uint8Array({ maxLength: 400 }),
}, PLAIN);

const bodies = {
  vote: fc.record({
    type: fc.constantFrom("pre-vote" as const, "vote" as const),
    term: num,
    lastIndex: num,
    lastTerm: num,
    force: fc.boolean(),
    expect: num,
  }, PLAIN),
  voteReply: fc.record({
    type: fc.constantFrom("pre-vote-reply" as const, "vote-reply" as const),
    term: num,
    reject: fc.boolean(),
    expect: num,
    commit: num,
    commitTerm: num,
  }, PLAIN),
  append: fc.record({
    type: fc.constant("append" as const),
    term: num,
    prevIndex: num,
    prevTerm: num,
    expect: num,
    entries: fc.array(entry, { maxLength: 5 }),
    commit: num,
  }, PLAIN),
  /** As logs really are: consecutive, few terms. */
  appendDense: fc.tuple(fc.nat(1e6), fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }))
    .map(([prevIndex, datas]) => ({
      type: "append" as const,
      term: 7,
      prevIndex,
      prevTerm: 6,
      expect: 4,
      commit: prevIndex,
      entries: datas.map((data, i) => ({
        index: prevIndex + 1 + i,
        term: i < 3 ? 6 : 7,
        type: "normal" as const,
        data,
      })),
    })),
  appendReply: fc.record({
    type: fc.constant("append-reply" as const),
    term: num,
    reject: fc.boolean(),
    index: num,
    hintIndex: num,
    hintTerm: num,
    commit: num,
  }, PLAIN),
  heartbeat: fc.record({
    type: fc.constant("heartbeat" as const),
    term: num,
    commit: num,
    round: num,
    expect: num,
    known: fc.array(fc.tuple(id, num), { maxLength: 5 }),
  }, PLAIN),
  heartbeatReply: fc.record({
    type: fc.constant("heartbeat-reply" as const),
    term: num,
    round: num,
    regressed: fc.boolean(),
    commit: num,
  }, PLAIN),
  timeoutNow: fc.record({ type: fc.constant("timeout-now" as const), term: num }, PLAIN),
  transfer: fc.record({ type: fc.constant("transfer" as const), term: num, transferee: id }, PLAIN),
  readIndex: fc.record({ type: fc.constant("read-index" as const), term: num, context: id }, PLAIN),
  readIndexReply: fc.record({
    type: fc.constant("read-index-reply" as const),
    term: num,
    context: id,
    index: num,
  }, PLAIN),
};

const message = fc.oneof(...Object.values(bodies)).map((body) =>
  ({ ...body, from: "a", to: "b" }) as BatchMessage
);

function encode(messages: readonly BatchMessage[]): Uint8Array {
  const encoder = new BatchEncoder("a", "b");
  for (const one of messages) encoder.add(one);
  return encoder.take();
}

Deno.test("raft batches: every message comes back as it went in", () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 10 }), (messages) => {
      const batch = decodeBatch(encode(messages));
      assert(typeof batch !== "string", String(batch));
      assert.deepEqual(batch, { from: "a", to: "b", messages });
    }),
    { numRuns: 500 },
  );
});

Deno.test("raft batches: garbage, truncation and flipped bytes give a sentence, never an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeBatch(bytes);
      const versioned = new Uint8Array(bytes);
      versioned[0] = 1;
      decodeBatch(versioned);
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (messages, cut, at, flip) => {
        const bytes = encode(messages);
        decodeBatch(bytes.subarray(0, cut % bytes.length));
        const flipped = bytes.slice();
        flipped[at % bytes.length]! ^= flip;
        decodeBatch(flipped);
      },
    ),
    { numRuns: 1000 },
  );
  assert.match(String(decodeBatch(Uint8Array.of(2, 0, 0))), /version 2; this manager speaks 1/);
  assert.match(String(decodeBatch(new Uint8Array(0))), /malformed raft message: ends too early/);
});

Deno.test("raft batches: a dense append costs two bytes per entry besides its data", () => {
  const data = new Uint8Array(100);
  const entries = Array.from(
    { length: 100 },
    (_, i) => ({ index: 1000 + i, term: 5, type: "normal" as const, data }),
  );
  const bytes = encode([{
    type: "append",
    from: "a",
    to: "b",
    term: 5,
    prevIndex: 999,
    prevTerm: 5,
    expect: 0,
    commit: 990,
    entries,
  }]);
  assert.equal(bytes.length, 5 + 2 + 2 + 1 + 1 + 2 + 1 + 100 * (2 + 100));
});

Deno.test("snapshot heads survive JSON; anything else is refused", () => {
  const whole = {
    type: "snapshot" as const,
    from: "a",
    to: "b",
    term: 4,
    snapshot: {
      meta: { index: 9, term: 3, conf: { voters: ["a", "b"], learners: [] } },
      data: Uint8Array.of(1, 2, 3),
    },
  };
  const head = readSnapshotHead(JSON.parse(JSON.stringify(snapshotHead(whole))));
  assert(typeof head !== "string");
  assert.deepEqual(snapshotMessage(head, whole.snapshot.data), whole);
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assert.equal(typeof readSnapshotHead(value), "string");
  }));
  assert.equal(readSnapshotHead({ ...head, voters: [1] }), "malformed snapshot head");
  assert.equal(readSnapshotHead({ ...head, bytes: -1 }), "malformed snapshot head");
  assert.match(String(readSnapshotHead({ ...head, version: 9 })), /version 9/);
});
