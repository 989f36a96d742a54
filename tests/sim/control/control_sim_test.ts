/** A quick look at the control plane's simulation; `deno task test` plays 200 seeds by `main.ts`. */
import assert from "node:assert/strict";
import { SeededRandom } from "../../../src/base/random.ts";
import { initialClusterSpec } from "../../../src/core/control/cluster.ts";
import { CLOSED_GRACE_MS } from "../../../src/core/dispatcher/sessions.ts";
import { AsyncTime } from "./async_time.ts";
import { Managers } from "./managers.ts";
import { SimNode } from "./node.ts";
import { drawControlOptions } from "./options.ts";
import { simulateControl } from "./simulation.ts";

const QUICK_SEEDS = 2;

Deno.test("control plane: once faults stop, what is and what is wanted are the same", async () => {
  for (let seed = 1; seed <= QUICK_SEEDS; seed++) {
    const { failure } = await simulateControl(drawControlOptions(seed, 10));
    assert.equal(failure, undefined, `deno task sim-control --nodes 10 --seed ${seed}`);
  }
});

Deno.test("control plane: the same seed gives the same run", async () => {
  const options = drawControlOptions(7, 8);
  const [a, b] = [await simulateControl(options), await simulateControl(options)];
  assert.equal(a.digest, b.digest);
  assert.equal(a.entries, b.entries);
  const other = await simulateControl(drawControlOptions(8, 8));
  assert.notEqual(a.digest, other.digest);
});

Deno.test("control plane: an agent that is back just as its node is given up is ready all the same", async () => {
  const time = new AsyncTime();
  const random = new SeededRandom(1);
  const managers = new Managers(time, random, 3);
  const weather = { calm: true };
  const node = new SimNode("n1", { clock: time, random, managers, weather });
  const state = () => managers.truth.get("node", "n1")?.Status.State;
  managers.start();
  const found = managers.write((tx) => {
    tx.create("cluster", {
      ID: "cluster",
      Spec: initialClusterSpec(undefined),
      RootCA: { CACert: "", JoinTokens: { Worker: "", Manager: "" } },
    });
    tx.create("node", {
      ID: "n1",
      Spec: { Labels: {}, Role: "worker", Availability: "active" },
      Status: { State: "unknown" },
      Role: "worker",
    });
  });
  await time.pass(1_000);
  await found;
  // With an entry always on its way the others gather, and are decided on before it is applied.
  let busy = true;
  const traffic = async () => {
    while (busy) {
      await managers.write((tx) => tx.update("cluster", { ...tx.get("cluster", "cluster")! }));
    }
  };
  const done = traffic();
  for (let offset = -26; offset <= -14; offset++) {
    node.start();
    await time.pass(500);
    node.stop();
    await time.pass(CLOSED_GRACE_MS + offset);
    node.start();
    await time.pass(1_000);
    assert.equal(state(), "ready", `back ${offset} ms after its time was over`);
  }
  busy = false;
  node.stop();
  const ended = Promise.all([done, node.settled()]).then(() => managers.stop());
  await time.pass(10_000);
  await ended;
});
