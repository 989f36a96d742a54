import assert from "node:assert/strict";
import {
  applyToConf,
  bootstrap,
  changeOf,
  decodeConfChange,
  EMPTY_CONF,
  encodeConfChange,
  forceNewCluster,
  keepsQuorum,
} from "./conf_change.ts";
import type { ConfChange, ConfState } from "./types.ts";

const conf: ConfState = { voters: ["a", "b"], learners: ["c"] };

Deno.test("changes survive encoding", () => {
  const changes: ConfChange[] = [
    { type: "add-learner", id: "x", context: new Uint8Array([1, 2]) },
    { type: "promote", id: "x" },
    { type: "remove", id: "x" },
    { type: "add-voter", id: "x" },
    { type: "reset", id: "x" },
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

Deno.test("a forced new cluster has one member and forgets nothing", () => {
  const { entries, hardState } = forceNewCluster("b", { term: 7, vote: "a", commit: 10 }, 12);
  assert.deepEqual(hardState, { term: 7, vote: "", commit: 13 });
  assert.equal(entries[0]?.index, 13);
  assert.deepEqual(applyToConf(conf, changeOf(entries[0]!)), { voters: ["b"], learners: [] });
});

Deno.test("losing the quorum is foreseen", () => {
  const up = (...ids: string[]) => (id: string) => ids.includes(id);
  const three: ConfState = { voters: ["a", "b", "c"], learners: [] };
  assert.equal(keepsQuorum(three, { type: "remove", id: "a" }, up("b", "c")), true);
  assert.equal(keepsQuorum(three, { type: "remove", id: "a" }, up("a", "b")), false);
  assert.equal(keepsQuorum(three, { type: "remove", id: "c" }, up("a", "b")), true);
});
