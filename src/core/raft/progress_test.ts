import assert from "node:assert/strict";
import fc from "fast-check";
import { Inflights } from "./inflights.ts";
import { Progress } from "./progress.ts";

const fresh = (next = 10) => new Progress("a", false, next, { messages: 3, bytes: 1000 });

Deno.test("a probe is sent once until it is answered", () => {
  const progress = fresh();
  progress.sent(5, 100);
  assert.equal(progress.paused(), true);
  assert.equal(progress.next, 10, "a probe does not run ahead");
  assert.equal(progress.reject(9, 4), true);
  assert.equal(progress.next, 5);
  assert.equal(progress.paused(), false);
  assert.equal(progress.reject(9, 2), false, "an old refusal changes nothing");
});

Deno.test("replication runs ahead and falls back to what is known", () => {
  const progress = fresh();
  progress.acknowledge(9);
  progress.becomeReplicate();
  progress.sent(2, 10);
  progress.sent(1, 10);
  assert.equal(progress.next, 13);
  assert.equal(progress.reject(9, 0), false, "that much is known to match");
  assert.equal(progress.reject(11, 9), true);
  assert.deepEqual([progress.state, progress.next], ["probe", 10]);
});

Deno.test("after a snapshot the entries behind it come next", () => {
  const progress = fresh();
  progress.becomeSnapshot(50);
  assert.equal(progress.paused(), true);
  progress.becomeProbe();
  assert.equal(progress.next, 51);
});

Deno.test("the window is full by count or by bytes", () => {
  const window = new Inflights(3, 1000);
  window.add(1, 10);
  window.add(2, 990);
  assert.equal(window.full(), true);
  window.freeTo(2);
  for (const index of [3, 4, 5]) window.add(index, 1);
  assert.equal(window.full(), true);
  window.freeTo(4);
  assert.equal(window.count, 1);
});

Deno.test("the window equals a list, whatever is added and freed", () => {
  fc.assert(fc.property(fc.array(fc.nat(6), { maxLength: 200 }), (steps) => {
    const window = new Inflights(20, 1e9);
    let model: number[] = [];
    let next = 1;
    for (const step of steps) {
      if (step > 2 && !window.full()) {
        window.add(next, 1);
        model.push(next++);
      } else {
        const to = (model[0] ?? 0) + step;
        window.freeTo(to);
        model = model.filter((index) => index > to);
      }
      assert.equal(window.count, model.length);
    }
  }));
});
