import assert from "node:assert/strict";
import { makeTask } from "../../../tests/support/make_task.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { silentLogger } from "../../base/log.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import { DRAIN_LABEL, Draining } from "./draining.ts";

const STATUS: TaskStatus = { State: "running", ContainerStatus: { ContainerID: "c", PID: 7 } };
const balanced = (drain?: string): Task =>
  makeTask("t1", {
    NetworksAttachments: [{ NetworkID: "net", Addresses: ["10.0.0.3/24"] }],
    ServiceAnnotations: {
      Name: "web",
      Labels: drain === undefined ? {} : { [DRAIN_LABEL]: drain },
    },
  });

function setUp(task: Task, open = 0) {
  const clock = new ManualClock();
  const state = { open, remembered: false, done: false, failed: undefined as unknown };
  const draining = new Draining({
    clock,
    logger: silentLogger,
    connections: {
      inbound: () => Promise.resolve(state.open),
      remembered: (addresses) => {
        assert.deepEqual(addresses, ["10.0.0.3"]);
        return Promise.resolve(state.remembered);
      },
    },
  });
  const stop = new AbortController();
  const begin = () =>
    void draining.wait(task, STATUS, stop.signal).then(
      () => state.done = true,
      (error: unknown) => {
        state.failed = error;
      },
    );
  return { clock, state, draining, begin, stop };
}

Deno.test("a task that nobody is sent to stops at once", async () => {
  const { clock, state, begin } = setUp(makeTask("t1"), 5);
  begin();
  await clock.settle();
  assert.equal(state.done, true);
});

Deno.test("it waits for the managers' word, then for its connections", async () => {
  const { clock, state, draining, begin } = setUp(balanced(), 2);
  begin();
  await clock.advance(1_000);
  assert.equal(state.done, false);
  draining.drained("t1");
  await clock.advance(3_000);
  assert.equal(state.done, false);
  state.open = 0;
  await clock.advance(100);
  assert.equal(state.done, true);
});

Deno.test("its container stays until the kernel has forgotten its connections, for 2 s at most", async () => {
  for (const forgetsAfterMs of [900, Infinity]) {
    const { clock, state, draining, begin } = setUp(balanced());
    state.remembered = true;
    draining.drained("t1");
    begin();
    await clock.advance(900);
    assert.equal(state.done, false);
    state.remembered = forgetsAfterMs === Infinity;
    await clock.advance(300);
    assert.equal(state.done, !state.remembered);
    await clock.advance(1_200);
    assert.equal(state.done, true);
  }
});

Deno.test("a word that came first counts as well", async () => {
  const { clock, state, draining, begin } = setUp(balanced());
  draining.drained("t1");
  begin();
  await clock.settle();
  assert.equal(state.done, true);
});

Deno.test("both waits are bounded: without managers 20 s, with connections 10 s or as labelled", async () => {
  for (const [label, ms] of [[undefined, 30_000], ["1s", 21_000]] as const) {
    const { clock, state, begin } = setUp(balanced(label), 1);
    begin();
    await clock.advance(ms - 200);
    assert.equal(state.done, false, label);
    await clock.advance(400);
    assert.equal(state.done, true, label);
  }
});

Deno.test("0s asks for no draining, and an abort ends it", async () => {
  const none = setUp(balanced("0s"), 1);
  none.begin();
  await none.clock.settle();
  assert.equal(none.state.done, true);
  const cut = setUp(balanced(), 1);
  cut.begin();
  await cut.clock.settle();
  cut.stop.abort(new Error("the agent stops"));
  await cut.clock.settle();
  assert.match(String(cut.state.failed), /the agent stops/);
});
