/** A quick look at the control plane's simulation; `deno task test` plays 200 seeds by `main.ts`. */
import assert from "node:assert/strict";
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
