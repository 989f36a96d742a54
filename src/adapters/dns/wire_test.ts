import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="./dns_packet.d.ts"
import packet from "dns-packet";
import type { Packet } from "./dns_packet.d.ts";
import fc from "fast-check";
import { answers, decodeQuery, encodeAnswer, encodeError, withId } from "./wire.ts";
import type { Query } from "./wire.ts";

function question(name: string, more: Packet = {}): Uint8Array {
  return packet.encode({
    type: "query",
    id: 4242,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: "A" }],
    ...more,
  });
}

const opt = (udpPayloadSize: number) => ({
  type: "OPT",
  name: ".",
  udpPayloadSize,
  flags: 0,
  options: [],
});

function query(bytes: Uint8Array): Query {
  const decoded = decodeQuery(bytes);
  assert.equal(decoded.kind, "query");
  return (decoded as { query: Query }).query;
}

Deno.test("the size that fits over UDP is 512 bytes, or what EDNS offers, within the path's", () => {
  assert.equal(query(question("web")).udpSize, 512);
  const sizes = [100, 900, 4096].map((size) =>
    query(question("web", { additionals: [opt(size)] })).udpSize
  );
  assert.deepEqual(sizes, [512, 900, 1232]);
});

Deno.test("an answer repeats id, question and EDNS; one too large is cut and says so", () => {
  const asked = query(question("Web", { additionals: [opt(1232)] }));
  const records = Array.from({ length: 50 }, (_, i) => ({
    type: "A" as const,
    data: `10.0.0.${i + 1}`,
  }));
  const whole = packet.decode(Buffer.from(encodeAnswer(asked, "NOERROR", records, 5)));
  assert.equal(whole.id, 4242);
  assert.equal(whole.questions?.[0]?.name, "Web");
  assert.equal(whole.answers?.length, 50);
  assert.equal(whole.additionals?.[0]?.type, "OPT");
  const bytes = encodeAnswer(asked, "NOERROR", records, 5, 512);
  const cut = packet.decode(Buffer.from(bytes));
  assert.ok(bytes.length <= 512);
  assert.equal(cut.flag_tc, true);
  assert.equal(cut.answers?.length, 0);
});

Deno.test("answers, other opcodes, other classes and several questions are no questions for us", () => {
  assert.deepEqual(decodeQuery(new Uint8Array(11)), { kind: "drop" });
  const response = question("web");
  response[2]! |= 0x80;
  assert.deepEqual(decodeQuery(response), { kind: "drop" });
  const update = question("web");
  update[2]! |= 5 << 3;
  assert.deepEqual(decodeQuery(update), { kind: "error", rcode: "NOTIMP" });
  const chaos = question("version.bind", {
    questions: [{ name: "version.bind", type: "TXT", class: "CH" }],
  });
  assert.deepEqual(decodeQuery(chaos), { kind: "error", rcode: "REFUSED" });
  const two = question("web", { questions: [{ name: "a", type: "A" }, { name: "b", type: "A" }] });
  assert.deepEqual(decodeQuery(two), { kind: "error", rcode: "FORMERR" });
});

Deno.test("an answer counts only for the question that was asked", () => {
  const asked = question("nas.home");
  const given = encodeAnswer(query(asked), "NOERROR", [{ type: "A", data: "192.0.2.1" }], 60);
  assert.ok(answers(asked, given));
  assert.ok(!answers(withId(asked, 1), given));
  assert.ok(!answers(question("nas.work"), given));
  assert.ok(!answers(asked, asked));
});

Deno.test("no bytes make the decoder throw or stall", () => {
  const valid = question("web.example", { additionals: [opt(1400)] });
  const mutated = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }).map(
    (changes) => {
      const bytes = valid.slice();
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    },
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated), (bytes) => {
      const decoded = decodeQuery(bytes);
      if (decoded.kind === "error") assert.equal(encodeError(bytes, decoded.rcode).length, 12);
      // Whatever can be read can be answered.
      if (decoded.kind === "query") {
        const records = [{ type: "A" as const, data: "10.0.0.1" }];
        for (const [rcode, given] of [["NXDOMAIN", []], ["NOERROR", records]] as const) {
          const answer = encodeAnswer(decoded.query, rcode, given, 0);
          assert.equal(packet.decode(Buffer.from(answer)).answers?.length, given.length);
          if (rcode === "NOERROR") assert.ok(answers(bytes, answer));
        }
      }
      answers(valid, bytes);
      answers(bytes, valid);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("a name of any bytes is repeated byte for byte: high ones, long labels, dots within", () => {
  const label = [63, ...new Array(63).fill(0xe9)];
  for (const name of [[...label, ...label], [3, 0x61, 0x2e, 0x62], [2, 0xc3, 0xa9]]) {
    const asked = new Uint8Array([
      0x10,
      0x92,
      1,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      ...name,
      0,
      0,
      1,
      0,
      1,
    ]);
    const answer = encodeAnswer(query(asked), "NXDOMAIN", [], 0);
    assert.deepEqual([...answer.subarray(12)], [...asked.subarray(12)]);
    assert.equal(packet.decode(Buffer.from(answer)).rcode, "NXDOMAIN");
  }
});

Deno.test("records of every kind carry the name that was asked for", () => {
  const given = [
    { type: "A" as const, data: "10.0.0.1" },
    { type: "AAAA" as const, data: "fd00::1" },
    { type: "PTR" as const, data: "web.1.back" },
  ];
  const asked = query(question("Web.example", { additionals: [opt(1232)] }));
  const { answers: told = [], additionals } = packet.decode(
    Buffer.from(encodeAnswer(asked, "NOERROR", given, 7)),
  );
  assert.deepEqual(
    told.map(({ name, type, data, ttl }) => ({ name, type, data, ttl })),
    given.map((record) => ({ name: "Web.example", ...record, ttl: 7 })),
  );
  assert.equal(additionals?.[0]?.type, "OPT");
});
