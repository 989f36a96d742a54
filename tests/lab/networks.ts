/** `deno task networks [--steps N] [--seed N]`: random changes and faults, networks compared from outside. */
import { parseArgs } from "node:util";
import { compile } from "../../scripts/compile.ts";
import { setup } from "../../scripts/setup.ts";
import { networkChaos } from "../support/network_chaos.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    steps: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
await setup();
await compile();
console.log(`seed ${values.seed}`);
const { checks } = await networkChaos("networks", {
  seed: Number(values.seed),
  steps: Number(values.steps),
  log: console.log,
});
console.log(`${values.steps} steps, compared ${checks} times: every node as it should be`);
