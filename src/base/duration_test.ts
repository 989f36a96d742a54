import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDuration, humanDuration, parseDuration } from "./duration.ts";

Deno.test("durations read and print as Go does", () => {
  for (
    const [text, ns] of [
      ["0s", 0],
      ["10s", 10e9],
      ["1m30s", 90e9],
      ["2160h0m0s", 2160 * 3600e9],
      ["500ms", 500e6],
      ["1.5s", 1.5e9],
      ["100µs", 100e3],
      ["7ns", 7],
    ] as const
  ) {
    assert.equal(parseDuration(text), ns);
    assert.equal(formatDuration(ns), text);
  }
});

Deno.test("what is no duration is refused with an example", () => {
  for (const text of ["", "10", "s", "1d", "1h 2m", "--1s", "1.s2"]) {
    assert.throws(() => parseDuration(text), { kind: "invalid", message: /write it like/ });
  }
});

Deno.test("printing and reading again gives the same value", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e15 }), (ns) => {
    const back = parseDuration(formatDuration(ns));
    assert.ok(Math.abs(back - ns) <= 1, `${ns} came back as ${back}`);
  }));
});

Deno.test("ages in tables read as Docker's", () => {
  assert.deepEqual(
    [0, 1_000, 59_000, 60_000, 120_000, 3_600_000, 7_200_000, 50 * 3_600_000].map(humanDuration),
    [
      "Less than a second",
      "1 second",
      "59 seconds",
      "About a minute",
      "2 minutes",
      "About an hour",
      "2 hours",
      "2 days",
    ],
  );
});
