import assert from "node:assert/strict";
import {
  applyToConf,
  bootstrap,
  changeOf,
  decodeConfChange,
  EMPTY_CONF,
  encodeConfChange,
} from "./conf_change.ts";
import type { ConfChange, ConfState } from "./types.ts";

const conf: ConfState = { voters: ["a", "b"], learners: ["c"] };

Deno.test("changes survive encoding", () => {
  const changes: ConfChange[] = [
    { type: "add-learner", id: "x", context: new Uint8Array([1, 2]) },
    { type: "promote", id: "x" },
    { type: "remove", id: "x" },
    { type: "add-voter", id: "x" },
  ];
  for (const change of changes) {
    assert.deepEqual(decodeConfChange(encodeConfChange(change)), change);
  }
});

Deno.test("unknown formats, types and torn changes are named", () => {
  const bytes = encodeConfChange({ type: "promote", id: "abc" });
  assert.throws(() => decodeConfChange(new Uint8Array([9, ...bytes.slice(1)])), /format 9/);
  assert.throws(() => decodeConfChange(new Uint8Array([1, 77])), /type is unknown/);
  assert.throws(() => decodeConfChange(bytes.slice(0, 4)), { kind: "corrupt" });
});

Deno.test("a learner joins, becomes a voter, and leaves", () => {
  let now = applyToConf(conf, { type: "add-learner", id: "0" });
  assert.deepEqual(now, { voters: ["a", "b"], learners: ["0", "c"] });
  now = applyToConf(now, { type: "promote", id: "0" });
  assert.deepEqual(now, { voters: ["0", "a", "b"], learners: ["c"] });
  now = applyToConf(now, { type: "remove", id: "b" });
  assert.deepEqual(now, { voters: ["0", "a"], learners: ["c"] });
});

Deno.test("changes that do not fit leave the members as they are", () => {
  assert.deepEqual(applyToConf(conf, { type: "promote", id: "stranger" }), conf);
  assert.deepEqual(applyToConf(conf, { type: "remove", id: "stranger" }), conf);
  assert.deepEqual(applyToConf(conf, { type: "add-learner", id: "a" }), conf);
  const last: ConfState = { voters: ["a"], learners: [] };
  assert.deepEqual(applyToConf(last, { type: "remove", id: "a" }), last);
});

Deno.test("founders are the first entries", () => {
  const { entries, hardState } = bootstrap(["b", "a"]);
  assert.equal(hardState.commit, 2);
  let now = EMPTY_CONF;
  for (const entry of entries) now = applyToConf(now, changeOf(entry));
  assert.deepEqual(now, { voters: ["a", "b"], learners: [] });
});
