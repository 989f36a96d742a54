/**
 * `deno task sim-control [--seed N] [--seeds K] [--from N] [--nodes N] [--jobs J]`: plays seeds of the whole control
 * plane on virtual time. Exit status 1 on a failure.
 */
import { parseArgs } from "node:util";
import { drawControlOptions } from "./options.ts";
import { simulateControl } from "./simulation.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    nodes: { type: "string", default: "50" },
    jobs: { type: "string", default: "1" },
  },
});

const nodes = Number(values.nodes);
const jobs = Number(values.jobs);
if (values.seed !== undefined) await playOne(Number(values.seed));
else if (jobs > 1) await playInProcesses();
else await playMany(Number(values.from), Number(values.seeds));

async function playOne(seed: number): Promise<void> {
  const options = drawControlOptions(seed, nodes);
  console.log(JSON.stringify(options));
  const started = performance.now();
  const { faults, ...result } = await simulateControl(options);
  console.log([...faults].map(([fault, n]) => `${fault} ${n}`).join(", "));
  console.log(`${JSON.stringify(result)} in ${(performance.now() - started).toFixed(0)} ms`);
  if (result.failure !== undefined) Deno.exitCode = 1;
}

async function playMany(from: number, count: number): Promise<void> {
  const started = performance.now();
  const sum = { failed: 0, tasks: 0, entries: 0, elections: 0, faults: 0, virtualMs: 0, healMs: 0 };
  for (let seed = from; seed < from + count; seed++) {
    const result = await simulateControl(drawControlOptions(seed, nodes));
    sum.tasks += result.tasks;
    sum.entries += result.entries;
    sum.elections += result.elections;
    sum.virtualMs += result.virtualMs;
    sum.healMs = Math.max(sum.healMs, result.healMs);
    for (const n of result.faults.values()) sum.faults += n;
    if (result.failure === undefined) continue;
    sum.failed++;
    console.log(`FAILED seed ${seed}: ${result.failure}`);
    console.log(`  deno task sim-control --seed ${seed}${nodes === 50 ? "" : ` --nodes ${nodes}`}`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${count} seeds from ${from}: ${
      count - sum.failed
    } passed, ${sum.failed} failed in ${seconds} s; ` +
      `${
        (sum.virtualMs / 3_600_000).toFixed(1)
      } virtual hours, ${sum.tasks} tasks, ${sum.entries} entries, ` +
      `${sum.elections} elections, ${sum.faults} faults, all as wanted within ${
        sum.healMs / 1000
      } s`,
  );
  if (sum.failed > 0) Deno.exitCode = 1;
}

/** The same program for equal shares of the seeds, all at a time. */
async function playInProcesses(): Promise<void> {
  const [from, count] = [Number(values.from), Number(values.seeds)];
  const each = Math.ceil(count / jobs);
  const codes = await Promise.all(Array.from({ length: jobs }, async (_, i) => {
    const share = Math.max(0, Math.min(each, count - i * each));
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", new URL(import.meta.url).pathname],
        ...["--from", String(from + i * each), "--seeds", String(share), "--nodes", String(nodes)],
      ],
      stdin: "null",
    }).spawn();
    return (await child.status).code;
  }));
  if (codes.some((code) => code !== 0)) Deno.exitCode = 1;
}
