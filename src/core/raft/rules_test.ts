import assert from "node:assert/strict";
import { PAPER_RULES as rules } from "./rules.ts";

Deno.test("a majority is more than half", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(rules.quorum), [1, 2, 2, 3, 3, 4, 4]);
});

Deno.test("one vote per term, but the same one may be repeated", () => {
  assert.equal(rules.mayVote("", "", "a"), true);
  assert.equal(rules.mayVote("a", "", "a"), true);
  assert.equal(rules.mayVote("b", "", "a"), false);
  assert.equal(rules.mayVote("", "c", "a"), false);
});

Deno.test("later term wins, then the longer log", () => {
  const own = { term: 3, index: 10 };
  assert.equal(rules.logUpToDate({ term: 4, index: 1 }, own), true);
  assert.equal(rules.logUpToDate({ term: 3, index: 10 }, own), true);
  assert.equal(rules.logUpToDate({ term: 3, index: 9 }, own), false);
  assert.equal(rules.logUpToDate({ term: 2, index: 99 }, own), false);
});
