import { fromRoot } from "./run.ts";

/** One part of a check, with the longest time it may take. */
export interface Step {
  readonly name: string;
  readonly args: readonly string[];
  readonly deadlineSeconds: number;
  /** Whether its output has test summaries that count. */
  readonly tests?: boolean;
}

export interface Totals {
  passed: number;
  failed: number;
}

const deno = (...args: string[]) => args;
const UNIT = ["src", "cli", "tests/architecture", "tests/scenario"];

/** Format, lint, types, and all tests that need nothing but Deno. */
export const OK_STEPS: readonly Step[] = [
  { name: "format", args: deno("fmt", "--check", "--quiet"), deadlineSeconds: 60 },
  { name: "lint", args: deno("lint", "--quiet"), deadlineSeconds: 60 },
  {
    name: "types",
    args: deno("check", "--quiet", "main.ts", "cli", "src", "tests", "scripts"),
    deadlineSeconds: 120,
  },
  {
    name: "unit, scenario and architecture tests",
    args: deno("test", "-A", "--quiet", "--no-check", "--unstable-http", ...UNIT),
    deadlineSeconds: 180,
    tests: true,
  },
];

/** Runs the steps one after the other; all of them, so that one run shows every failure. */
export async function runSteps(steps: readonly Step[]): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0 };
  for (const step of steps) {
    const started = performance.now();
    console.log(`--- ${step.name}`);
    const ok = await runStep(step, totals);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`--- ${step.name}: ${ok ? "ok" : "FAILED"} (${seconds} s)`);
  }
  return totals;
}

async function runStep(step: Step, totals: Totals): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...step.args],
    cwd: fromRoot(""),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => {
    console.log(`${step.name}: not done after ${step.deadlineSeconds} s, stopping it`);
    child.kill("SIGTERM");
  }, step.deadlineSeconds * 1000);
  const [stdout, , status] = await Promise.all([
    forward(child.stdout, Deno.stdout),
    forward(child.stderr, Deno.stderr),
    child.status,
  ]);
  clearTimeout(timer);
  if (!step.tests) {
    if (status.success) totals.passed++;
    else totals.failed++;
    return status.success;
  }
  // Deno: "ok | 12 passed | 0 failed"; our own runners: "12 passed, 0 failed".
  let seen = false;
  for (const match of stdout.matchAll(/(\d+) passed(?: \(\d+ steps?\))?(?: \||,) (\d+) failed/g)) {
    seen = true;
    totals.passed += Number(match[1]);
    totals.failed += Number(match[2]);
  }
  if (!status.success && (!seen || !/[1-9]\d* failed/.test(stdout))) totals.failed++;
  return status.success;
}

async function forward(from: ReadableStream<Uint8Array>, to: typeof Deno.stdout): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of from) {
    text += decoder.decode(chunk, { stream: true });
    for (let done = 0; done < chunk.length;) done += to.writeSync(chunk.subarray(done));
  }
  return text;
}

/** Prints the closing line and ends the process with the matching code. */
export function close({ passed, failed }: Totals): never {
  console.log(`${passed} passed, ${failed} failed`);
  Deno.exit(failed === 0 && passed > 0 ? 0 : 1);
}
