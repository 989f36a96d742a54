import assert from "node:assert/strict";
import fc from "fast-check";
import {
  daysLeft,
  expirySentence,
  expiryWarning,
  renewalRetryDelay,
  renewalTime,
} from "./renewal_schedule.ts";

const DAY = 24 * 3_600_000;
const life = { notBeforeMs: 1_000_000, notAfterMs: 1_000_000 + 90 * DAY };
const left = (days: number) => life.notAfterMs - days * DAY;

Deno.test("a renewal falls between half and four fifths of the life", () => {
  assert.equal(renewalTime(life, 0), life.notBeforeMs + 45 * DAY);
  fc.assert(fc.property(fc.float({ min: 0, max: 1, noNaN: true }), (random) => {
    const share = (renewalTime(life, random) - life.notBeforeMs) / (90 * DAY);
    assert.ok(share >= 0.5 && share <= 0.8 + 1e-9);
  }));
});

Deno.test("failed renewals back off from a second to an hour", () => {
  assert.deepEqual([1, 2, 3].map(renewalRetryDelay), [1_000, 2_000, 4_000]);
  assert.equal(renewalRetryDelay(13), 3_600_000);
  assert.equal(renewalRetryDelay(1e9), 3_600_000);
});

Deno.test("a healthy node, which renews at four fifths of the life at the latest, is never warned of", () => {
  for (const lifeMs of [1, 24, 240, 2_160, 8_760].map((hours) => hours * DAY / 24)) {
    const own = { notBeforeMs: 0, notAfterMs: lifeMs };
    fc.assert(
      fc.property(fc.float({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const at = renewalTime(own, random);
        assert.equal(expiryWarning(own, at), undefined);
        assert.equal(expirySentence("h1", own, at), undefined);
      }),
    );
  }
});

Deno.test("once a renewal is overdue, warnings come inside of 30, 7 and 1 days", () => {
  assert.equal(expiryWarning(life, left(30)), undefined);
  assert.equal(expiryWarning(life, left(18) - 1), undefined);
  assert.equal(expiryWarning(life, left(18) + 1), 30);
  assert.equal(expiryWarning(life, left(7) - 1), 30);
  assert.equal(expiryWarning(life, left(7)), 7);
  assert.equal(expiryWarning(life, left(1) - 1), 7);
  assert.equal(expiryWarning(life, left(1)), 1);
  assert.equal(expiryWarning(life, left(-5)), 1);
  const year = { notBeforeMs: 0, notAfterMs: 365 * DAY };
  assert.equal(expiryWarning(year, 300 * DAY), undefined, "65 days are left to look into it");
  assert.equal(expiryWarning(year, 336 * DAY), 30);
});

Deno.test("a certificate that lives for hours or days is overdue by its own life", () => {
  const day = { notBeforeMs: 0, notAfterMs: DAY };
  assert.equal(expiryWarning(day, 0.79 * DAY), undefined);
  assert.equal(expiryWarning(day, 0.81 * DAY), 1);
  const tenDays = { notBeforeMs: 0, notAfterMs: 10 * DAY };
  assert.equal(expiryWarning(tenDays, 8 * DAY), undefined);
  assert.equal(expiryWarning(tenDays, 8 * DAY + 1), 7);
});

Deno.test("days left are whole days, negative after the end", () => {
  assert.deepEqual([90, 1.5, 0.5, 0, -0.5].map((days) => daysLeft(left(0), left(days))), [
    90,
    1,
    0,
    0,
    -1,
  ]);
});

Deno.test("a sentence comes when a renewal is overdue, and names the node", () => {
  const says = (nowMs: number) => expirySentence("h1", life, nowMs);
  assert.equal(says(left(19)), undefined);
  assert.match(says(left(7))!, /^the certificate of node h1 expires in 7 days and was not renewed/);
  assert.match(says(left(1))!, /expires in 1 day /);
  assert.match(says(left(0.5))!, /expires within a day/);
  assert.match(says(left(-9.5))!, /expired 10 days ago/);
  const brief = { notBeforeMs: 0, notAfterMs: 3_600_000 };
  assert.match(expirySentence("h1", brief, 3_500_000)!, /expires within a day/);
  assert.match(expirySentence("h1", brief, 3_600_001)!, /expired 1 day ago/);
});
