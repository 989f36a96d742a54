/** Proves that the simulator finds what it is for, and that it can repeat it. */
import assert from "node:assert/strict";
import { MUTATIONS } from "./mutations.ts";
import { drawOptions, FAULTS } from "./options.ts";
import { runSeeds } from "./run.ts";
import { simulate } from "./simulation.ts";

/** Seeds within which each broken core must be found. */
const MUTATION_SEEDS = 600;
/** `deno task test` plays 500 by `main.ts`; this is the quick look of `deno task ok`. */
const QUICK_SEEDS = 40;

const silent = () => {};

for (const [name, mutation] of Object.entries(MUTATIONS)) {
  Deno.test(`the simulator catches a core that ${name}`, async () => {
    const summary = await runSeeds(1, MUTATION_SEEDS, silent, {
      mutation,
      until: (so) => so.failed.length > 0,
    });
    const caught = summary.failed[0];
    assert.ok(caught, `not caught by seeds 1 to ${MUTATION_SEEDS}`);
    assert.equal(simulate(caught.options).failure, undefined, "the right core fails, too");
  });
}

Deno.test("the same seed gives the same run", () => {
  for (const seed of [3, 31, 96, 149]) {
    const [a, b] = [simulate(drawOptions(seed)), simulate(drawOptions(seed))];
    assert.equal(a.digest, b.digest);
    assert.equal(a.messages, b.messages);
    assert.notEqual(a.digest, simulate(drawOptions(seed + 1)).digest);
  }
});

Deno.test("a few seeds pass, and every fault is among them", async () => {
  const lines: string[] = [];
  const summary = await runSeeds(1, QUICK_SEEDS, (line) => lines.push(line));
  assert.deepEqual(summary.failed.map((f) => f.options.seed), [], lines.join("\n"));
  for (const fault of FAULTS) assert.ok(summary.faults.get(fault), `${fault} never happened`);
  assert.equal(summary.undecided, 0);
});

Deno.test("a member that comes back with an old disk is noticed and does no harm", () => {
  let noticed = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const options = { ...drawOptions(seed), faults: ["old-image"] as const };
    const result = simulate({
      ...options,
      members: 3 + seed % 3,
      durationMs: 20_000,
      faultEveryMs: 4_000,
      thinkMs: 50,
      // A follower that is behind for long has not acknowledged what it loses.
      loss: 0,
      minDelayMs: 1,
      maxDelayMs: 20,
    });
    assert.equal(result.failure, undefined, `seed ${seed}`);
    noticed += result.regressed;
  }
  assert.ok(noticed > 20, `only ${noticed} cases`);
});

const regressions = new URL("./regressions/", import.meta.url);
for (
  const { name } of [...Deno.readDirSync(regressions)].sort((a, b) => a.name < b.name ? -1 : 1)
) {
  if (!name.endsWith(".json")) continue;
  Deno.test(`regression ${name.slice(0, -5)}`, () => {
    const { options } = JSON.parse(Deno.readTextFileSync(new URL(name, regressions)));
    assert.equal(simulate(options).failure, undefined);
  });
}
