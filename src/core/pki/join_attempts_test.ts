import assert from "node:assert/strict";
import fc from "fast-check";
import { JoinAttempts, sourceOf } from "./join_attempts.ts";

Deno.test("64 wrong tokens at once, then one in ten seconds; others are not kept out", () => {
  const attempts = new JoinAttempts();
  for (let i = 0; i < 64; i++) assert(attempts.begin("10.0.0.9", 0).allowed);
  assert.deepEqual(attempts.begin("10.0.0.9", 0), { allowed: false, waitMs: 10_000, first: true });
  assert.deepEqual(attempts.begin("10.0.0.9", 4_000), {
    allowed: false,
    waitMs: 6_000,
    first: false,
  });
  assert(attempts.begin("10.0.0.8", 4_000).allowed);
  assert(attempts.begin("10.0.0.9", 10_000).allowed);
  const again = attempts.begin("10.0.0.9", 10_000);
  assert(!again.allowed && again.first, "a new series is told once more");
});

Deno.test("a rack of 400 machines behind one address joins at once", () => {
  const attempts = new JoinAttempts();
  for (let i = 0; i < 400; i++) {
    assert(attempts.begin("10.0.0.9", 0).allowed, `machine ${i}`);
    attempts.excuse("10.0.0.9");
  }
});

Deno.test("the table of sources is bounded, and who was refused stays in it", () => {
  const attempts = new JoinAttempts();
  for (let i = 0; i < 64; i++) attempts.begin("10.0.0.9", 0);
  for (let i = 0; i < 20_000; i++) {
    const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    attempts.begin(address, 100_000 + i);
    attempts.excuse(address);
    assert(attempts.size <= 4_096);
    if (i % 1_000 === 0) attempts.begin("10.0.0.9", 1_000 + i / 1_000);
  }
  assert(!attempts.begin("10.0.0.9", 1_100).allowed);
});

Deno.test("whatever the order of attempts, no source spends more than its credit", () => {
  const step = fc.record({ source: fc.nat(1), waitMs: fc.nat(300) });
  fc.assert(fc.property(fc.array(step, { minLength: 100, maxLength: 300 }), (steps) => {
    const attempts = new JoinAttempts();
    const allowed = new Map<number, number>();
    let nowMs = 0;
    for (const { source, waitMs } of steps) {
      nowMs += waitMs;
      const verdict = attempts.begin(`10.0.1.${source}`, nowMs);
      if (verdict.allowed) allowed.set(source, (allowed.get(source) ?? 0) + 1);
      else assert(verdict.waitMs > 0 && verdict.waitMs <= 10_000);
    }
    for (const count of allowed.values()) assert(count <= 64 + nowMs / 10_000);
  }));
});

Deno.test("an IPv6 machine is one source with all of its /64", () => {
  const cases: [string, string][] = [
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:DB8:0001::1:2", "2001:db8:1:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["1::2:3:4:5:6:7", "1:0:2:3::/64"],
  ];
  for (const [address, source] of cases) assert.equal(sourceOf(address), source, address);
});
