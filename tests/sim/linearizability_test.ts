import assert from "node:assert/strict";
import fc from "fast-check";
import { checkHistory } from "./linearizability.ts";
import type { HistoryEvent } from "./linearizability.ts";
import { perform } from "./machine.ts";
import type { Operation, Output } from "./machine.ts";

const read = (): Operation => ({ kind: "read", key: "k" });
const write = (value: string): Operation => ({ kind: "write", key: "k", value });
const append = (value: string): Operation => ({ kind: "append", key: "k", value });
const cas = (from: string, value: string): Operation => ({ kind: "cas", key: "k", from, value });

/** `[call, return, operation, output]`; without output the outcome is unknown. */
type Row = [number, number, Operation, Output?];
const history = (...rows: Row[]): HistoryEvent[] =>
  rows.map(([call, ret, op, output], client) => ({
    client,
    op,
    call,
    return: output === undefined ? Infinity : ret,
    output,
  }));
const kind = (...rows: Row[]) => checkHistory(history(...rows)).kind;

Deno.test("good histories are accepted", () => {
  assert.equal(kind([1, 2, write("a"), true], [3, 4, read(), "a"]), "linearizable");
  assert.equal(
    kind([1, 6, write("a"), true], [2, 3, read(), ""], [4, 5, read(), "a"]),
    "linearizable",
  );
  assert.equal(
    kind([1, 2, write("a"), true], [3, 9, cas("a", "b"), true], [4, 8, cas("a", "c"), false]),
    "linearizable",
  );
  assert.equal(
    kind([1, 4, append("x"), true], [2, 3, append("y"), true], [5, 6, read(), "yx"]),
    "linearizable",
  );
});

Deno.test("unknown outcomes may have happened, or not, or later", () => {
  assert.equal(kind([1, 0, write("a")], [2, 3, read(), ""]), "linearizable");
  assert.equal(kind([1, 0, write("a")], [2, 3, read(), "a"]), "linearizable");
  assert.equal(
    kind([1, 0, write("a")], [2, 3, read(), ""], [4, 5, read(), "a"]),
    "linearizable",
  );
});

Deno.test("known-bad histories are refused", () => {
  // Stale read.
  assert.equal(kind([1, 2, write("a"), true], [3, 4, read(), ""]), "violation");
  // A read sees the future undone.
  assert.equal(
    kind([1, 6, write("a"), true], [2, 3, read(), "a"], [4, 5, read(), ""]),
    "violation",
  );
  // A lost write.
  assert.equal(
    kind([1, 2, append("x"), true], [3, 4, append("y"), true], [5, 6, read(), "y"]),
    "violation",
  );
  // A write that took effect twice.
  assert.equal(kind([1, 2, append("x"), true], [3, 4, read(), "xx"]), "violation");
  // The wrong order.
  assert.equal(
    kind([1, 2, append("x"), true], [3, 4, append("y"), true], [5, 6, read(), "yx"]),
    "violation",
  );
  // Two compare-and-sets win.
  assert.equal(
    kind([1, 2, write("a"), true], [3, 6, cas("a", "b"), true], [4, 5, cas("a", "c"), true]),
    "violation",
  );
  // A compare-and-set fails without a reason.
  assert.equal(kind([1, 2, write("a"), true], [3, 4, cas("a", "b"), false]), "violation");
  // An unknown write cannot happen before its call.
  assert.equal(kind([1, 2, read(), "a"], [3, 0, write("a")]), "violation");
  // An unknown write cannot be undone.
  assert.equal(
    kind([1, 0, write("a")], [2, 3, read(), "a"], [4, 5, read(), ""]),
    "violation",
  );
});

const operation = fc.oneof(
  fc.constant(read()),
  fc.constantFrom("1", "2", "3").map(write),
  fc.constantFrom("x", "y").map(append),
  fc.tuple(fc.constantFrom("", "1", "2"), fc.constantFrom("1", "3")).map(([a, b]) => cas(a, b)),
);

Deno.test("histories of one real copy are accepted, and the same by brute force", () => {
  const row = fc.record({
    op: operation,
    before: fc.integer({ min: 0, max: 30 }),
    after: fc.integer({ min: 0, max: 30 }),
    known: fc.integer({ min: 0, max: 4 }),
    lie: fc.integer({ min: 0, max: 9 }),
  });
  let violations = 0;
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 6 }), (rows) => {
      let state = "";
      let lied = false;
      const events = rows.map((r, i): HistoryEvent => {
        const result = perform(state, r.op);
        state = result.state;
        let output: Output = result.output;
        if (r.lie === 0) {
          output = typeof output === "string" ? output + "1" : !output;
          lied = true;
        }
        // The operation takes effect at 100 * i.
        const times = { call: 100 * i - r.before * 10 - 1, return: 100 * i + r.after * 10 + 1 };
        return r.known === 0
          ? { client: i, op: r.op, call: times.call, return: Infinity, output: undefined }
          : { client: i, op: r.op, ...times, output };
      });
      const verdict = checkHistory(events).kind;
      if (!lied) assert.equal(verdict, "linearizable");
      assert.equal(verdict, bruteForce(events) ? "linearizable" : "violation");
      if (verdict === "violation") violations++;
    }),
    { numRuns: 1500, seed: 7 },
  );
  assert.ok(violations > 50, `only ${violations} violations were tried`);
});

/** Tries every order of every choice of unknown operations. */
function bruteForce(events: readonly HistoryEvent[], state = ""): boolean {
  if (events.every((event) => event.return === Infinity)) return true;
  return events.some((event) => {
    if (events.some((other) => other.return < event.call)) return false;
    const result = perform(state, event.op);
    if (event.output !== undefined && event.output !== result.output) return false;
    return bruteForce(events.filter((other) => other !== event), result.state);
  });
}
