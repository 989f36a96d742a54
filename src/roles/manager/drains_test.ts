import assert from "node:assert/strict";
import { Drains } from "./drains.ts";

function setUp() {
  const drained: string[] = [];
  return { drained, drains: new Drains((task, owner) => drained.push(`${task} on ${owner}`)) };
}

Deno.test("a task is drained when every node has applied what took it out", () => {
  const { drained, drains } = setUp();
  drains.begin("t1", "n1", ["n1", "n2"]);
  drains.applied("n1", 6);
  drains.told("n1", 7);
  drains.told("n2", 3);
  drains.applied("n1", 7);
  assert.deepEqual(drained, []);
  drains.applied("n2", 4);
  assert.deepEqual(drained, ["t1 on n1"]);
  assert.equal(drains.size, 0);
});

Deno.test("an acknowledgement from before is none for what was told after it", () => {
  const { drained, drains } = setUp();
  drains.applied("n1", 9);
  drains.begin("t1", "n1", ["n1"]);
  drains.told("n1", 10);
  assert.deepEqual(drained, []);
  drains.applied("n1", 10);
  assert.deepEqual(drained, ["t1 on n1"]);
});

Deno.test("a node whose kernel is ahead needs no further acknowledgement", () => {
  const { drained, drains } = setUp();
  drains.applied("n1", 10);
  drains.begin("t1", "n1", ["n1"]);
  drains.told("n1", 10);
  assert.deepEqual(drained, ["t1 on n1"]);
});

Deno.test("a new session counts anew, and a node that is down is not waited for", () => {
  const { drained, drains } = setUp();
  drains.begin("t1", "n1", ["n1", "n2"]);
  drains.told("n1", 2);
  drains.told("n2", 500);
  drains.applied("n1", 2);
  drains.reset("n2");
  drains.told("n2", 1);
  assert.deepEqual(drained, []);
  drains.gone("n2");
  assert.deepEqual(drained, ["t1 on n1"]);
});

Deno.test("a task that has ended is waited for no longer, and one without nodes not at all", () => {
  const { drained, drains } = setUp();
  drains.begin("t1", "n1", ["n1"]);
  drains.forget("t1");
  drains.told("n1", 1);
  drains.applied("n1", 1);
  assert.deepEqual(drained, []);
  drains.begin("t2", "n1", []);
  assert.deepEqual(drained, ["t2 on n1"]);
});
