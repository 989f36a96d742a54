/** `deno task chaos [--minutes M] [--seed N]`: five managers under faults on real processes for a while. */
import { parseArgs } from "node:util";
import { compile } from "../../scripts/compile.ts";
import { setup } from "../../scripts/setup.ts";
import { managerChaos } from "../support/manager_chaos.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
await setup();
await compile();
console.log(`seed ${values.seed}`);
const seconds = Number(values.minutes) * 60;
const { rounds, operations } = await managerChaos("chaos", {
  seed: Number(values.seed),
  seconds,
  log: console.log,
});
console.log(
  `${rounds} rounds of faults, ${operations} operations: linearizable, all managers agree`,
);
