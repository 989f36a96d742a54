/** A short run of `deno task networks`: random changes and faults, then every node as it should be. */
import assert from "node:assert/strict";
import { networkChaos } from "../support/network_chaos.ts";

Deno.test("networks after random changes and faults, compared from outside", async () => {
  const { checks } = await networkChaos("netchaos", {
    seed: 1,
    steps: 16,
    log: (line) => console.log(`  ${line}`),
  });
  assert.equal(checks, 2);
});
