import assert from "node:assert/strict";
import { orDidYouMean } from "./nearest.ts";

Deno.test("what was meant is the name that differs least, if it is near at all", () => {
  const names = ["web", "worker", "db"];
  const meant = (word: string) => orDidYouMean(word, names, "fleet service ls");
  assert.equal(meant("wbe"), "; did you mean web?");
  assert.equal(meant("wrker"), "; did you mean worker?");
  assert.equal(meant("wroekr"), "; did you mean worker?");
  assert.equal(meant("x"), '; see "fleet service ls"');
  assert.equal(meant("db2x"), '; see "fleet service ls"');
  assert.equal(meant("w".repeat(10_000)), '; see "fleet service ls"');
  assert.equal(orDidYouMean("web", [], "fleet service ls"), '; see "fleet service ls"');
});
