/**
 * `deno task sim [--seed N] [--seeds K] [--hours H] [--from N] [--only FAULT,FAULT] [--jobs J]`: plays seeds on virtual
 * time. One seed prints what it drew and what happened; many, in J processes at a time, print a summary and every
 * failure. Exit status 1 on a failure.
 */
import { parseArgs } from "node:util";
import { describe, drawOptions, FAULTS } from "./options.ts";
import type { Fault } from "./options.ts";
import { inProcesses, printTally, sum, tallyOf } from "./parallel.ts";
import type { Tally } from "./parallel.ts";
import { runSeeds } from "./run.ts";
import { simulate } from "./simulation.ts";

/** Seeds that `--hours` may take at most. */
const MAX_SEEDS = 10_000_000;
const MS_PER_HOUR = 3_600_000;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    /** Virtual hours. */
    hours: { type: "string" },
    /** These faults instead of the drawn ones. */
    only: { type: "string" },
    /** Processes side by side. */
    jobs: { type: "string", default: "1" },
    /** For a process that another one started: one line for it at the end. */
    tally: { type: "boolean", default: false },
  },
});

if (!values.tally) console.log(`commit ${await commit()}`);
if (values.seed !== undefined) playOne(Number(values.seed));
else await playMany(Number(values.from), values.seeds, values.hours);

function onlyFaults(): { only: Fault[] } | undefined {
  if (values.only === undefined) return undefined;
  const only = values.only.split(",").filter((name) => name !== "none");
  for (const name of only) {
    if (!(FAULTS as readonly string[]).includes(name)) {
      throw new Error(`no fault is called "${name}"; there are ${FAULTS.join(", ")} and none`);
    }
  }
  return { only: only as Fault[] };
}

function playOne(seed: number): void {
  const only = onlyFaults();
  const options = { ...drawOptions(seed), ...(only ? { faults: only.only } : {}) };
  console.log(`seed ${seed}`);
  console.log(describe(options));
  const started = performance.now();
  const result = simulate(options);
  const faults = [...result.faults].map(([fault, n]) => `${fault} ${n}`).join(", ");
  console.log(
    `${(result.virtualMs / 1000).toFixed(1)} s virtual in ${
      (performance.now() - started).toFixed(0)
    } ms: ${result.operations} operations, ${result.committed} entries, ` +
      `${result.leaderChanges} leaders, ${result.messages} messages (${result.lost} lost), ` +
      `healed in ${result.healMs} ms, faults: ${faults || "none"}, digest ${result.digest >>> 0}`,
  );
  console.log(result.failure === undefined ? "passed" : `FAILED: ${result.failure}`);
  if (result.failure !== undefined) Deno.exitCode = 1;
}

async function playMany(
  from: number,
  seeds: string | undefined,
  hours: string | undefined,
): Promise<void> {
  const started = performance.now();
  const count = seeds === undefined ? (hours === undefined ? 500 : MAX_SEEDS) : Number(seeds);
  const jobs = Number(values.jobs);
  const summary = jobs > 1
    ? sum(await inProcesses(shares(from, count, hours, jobs), console.log))
    : await playHere(from, count, hours);
  if (summary.failed > 0) Deno.exitCode = 1;
  if (values.tally) return printTally(summary);
  const seconds = (performance.now() - started) / 1000;
  const total = summary.passed + summary.failed;
  const faults = new Map(summary.faults);
  console.log(
    `${total} seeds from ${from}: ${summary.passed} passed, ${summary.failed} failed; ` +
      `${(summary.virtualMs / MS_PER_HOUR).toFixed(1)} virtual hours in ${seconds.toFixed(0)} s`,
  );
  console.log(
    `${summary.operations} operations, ${summary.committed} entries, ${summary.leaderChanges} leaders, ` +
      `${summary.messages} messages, ${summary.lost} lost, slowest healing ${summary.slowestHealMs} ms, ` +
      `${summary.undecided} keys undecided`,
  );
  console.log(FAULTS.map((fault) => `${fault} ${faults.get(fault) ?? 0}`).join(", "));
}

async function playHere(from: number, count: number, hours: string | undefined): Promise<Tally> {
  const virtualMs = hours === undefined ? Infinity : Number(hours) * MS_PER_HOUR;
  const summary = await runSeeds(from, count, console.log, {
    ...onlyFaults(),
    until: (so) => so.virtualMs >= virtualMs,
  });
  return tallyOf(summary);
}

/** What each of `jobs` processes is to play. */
function shares(from: number, count: number, hours: string | undefined, jobs: number): string[][] {
  const each = Math.ceil(count / jobs);
  return Array.from({ length: jobs }, (_, i) => [
    ...["--from", String(from + i * each)],
    ...["--seeds", String(Math.max(0, Math.min(each, count - i * each)))],
    ...(hours === undefined ? [] : ["--hours", String(Number(hours) / jobs)]),
    ...(values.only === undefined ? [] : ["--only", values.only]),
  ]);
}

/** What is being tested, for whoever wants to repeat it. */
async function commit(): Promise<string> {
  try {
    const git = new Deno.Command("git", { args: ["rev-parse", "--short", "HEAD"] });
    const { success, stdout } = await git.output();
    return success ? new TextDecoder().decode(stdout).trim() : "unknown";
  } catch {
    return "unknown (no git here)";
  }
}
