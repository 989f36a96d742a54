import { managerChaos } from "../support/manager_chaos.ts";

/** `deno task chaos` goes on for longer, with other seeds. */
const SECONDS = 40;

Deno.test("five managers: killed, hung, cut off one way or both, on a full disk, with clocks that jump", async () => {
  const { rounds, operations } = await managerChaos("five", {
    seed: 1,
    seconds: SECONDS,
    log: console.log,
  });
  console.log(`${rounds} rounds of faults, ${operations} operations`);
});
