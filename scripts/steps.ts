import { fromRoot } from "./run.ts";

/** One part of a check, with the longest time it may take. */
export interface Step {
  readonly name: string;
  /** Arguments of `deno`. */
  readonly args: readonly string[];
  readonly deadlineSeconds: number;
  /** Its output has test summaries that count; any other step counts as one test. */
  readonly tests?: boolean;
  /**
   * Files of tests that failed are run once more, alone, if they are few: the machine's load has a say in
   * what real engines do. What passes only then is named at the end.
   */
  readonly secondChance?: boolean;
  /** Shows the output as it comes, and not only when the step fails. */
  readonly live?: boolean;
  /**
   * The last argument is a folder, whose files of tests are run by themselves, as many at a time as there
   * are entries here: the environment that sets a lane apart from the others.
   */
  readonly lanes?: readonly Readonly<Record<string, string>>[];
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  /** What went wrong, a few lines each, to be said once more at the end. */
  readonly failures?: readonly string[];
  /** Failures that were none when their files were run again, told the same way. */
  readonly unsteady?: readonly string[];
}

const UNIT = [
  ...["src", "cli", "tests/architecture", "tests/scenario", "tests/sim"],
  ...["scripts/lazy_modules_test.ts", "scripts/self_extracting_test.ts", "scripts/steps_test.ts"],
];

/** Format, lint, types, and all tests that need nothing but Deno. */
export const OK_STEPS: readonly Step[] = [
  { name: "format", args: ["fmt", "--check"], deadlineSeconds: 60 },
  { name: "lint", args: ["lint", "--quiet"], deadlineSeconds: 60 },
  {
    name: "types",
    args: ["check", "--quiet", "main.ts", "client", "cli", "src", "ui", "tests", "scripts"],
    deadlineSeconds: 120,
  },
  {
    name: "unit, scenario and architecture tests",
    args: ["test", "-A", "--quiet", "--no-check", "--unstable-http", "--unstable-net", ...UNIT],
    deadlineSeconds: 600,
    tests: true,
  },
];

/** More files than these do not fail by chance. */
const MAX_SECOND_CHANCES = 3;
/** A step that was asked to end gets this long before it is killed. */
const GRACE_MS = 5_000;
/** Output may come for this long after the end of its process; a daemon that was left may hold it open. */
const DRAIN_MS = 2_000;

/** Runs the steps one after the other; all of them, so that one run shows every failure. */
export async function runSteps(
  steps: readonly Step[],
  env: Readonly<Record<string, string>> = {},
): Promise<Totals> {
  let [passed, failed] = [0, 0];
  const failures: string[] = [];
  const unsteady: string[] = [];
  for (const step of steps) {
    const started = performance.now();
    if (step.live) console.log(`--- ${step.name}`);
    const result = await runStep(step, env);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const count = step.tests ? `, ${result.passed} passed, ${result.failed} failed` : "";
    console.log(`${result.failed === 0 ? "ok    " : "FAILED"} ${step.name} (${seconds} s${count})`);
    passed += result.passed;
    failed += result.failed;
    failures.push(...result.failures ?? []);
    unsteady.push(...result.unsteady ?? []);
    if (Deno.exitCode !== 0) break;
  }
  return { passed, failed, failures, unsteady };
}

async function runStep(step: Step, env: Readonly<Record<string, string>>): Promise<Totals> {
  const first = step.lanes ? await runLanes(step, step.lanes, env) : await runOnce(step, env);
  const last = step.args.at(-1)!;
  // A step of a test may be in another file than the test.
  const files = isTestFile(last) && first.failed > 0 ? [last] : first.failedFiles;
  if (
    !step.secondChance || first.cut || files.length === 0 || files.length > MAX_SECOND_CHANCES ||
    !files.every(isTestFile) || Deno.exitCode !== 0
  ) return first;
  console.log(`--- once more, alone: ${files.join(", ")}`);
  const flags = step.args.filter((arg) => arg === "test" || arg.startsWith("-"));
  const second = await runOnce({ ...step, args: [...flags, ...files] }, env);
  if (second.failed > 0 || second.passed === 0) {
    return { ...first, failures: second.failures ?? [] };
  }
  return {
    passed: first.passed + first.failed,
    failed: 0,
    unsteady: first.failures ?? [],
  };
}

/** Each lane takes the next file when it is done with one; what a file says is shown when it is done. */
async function runLanes(
  step: Step,
  lanes: NonNullable<Step["lanes"]>,
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  const folder = step.args.at(-1)!;
  const flags = step.args.slice(0, -1);
  const path = folder.startsWith("/") ? folder : fromRoot(folder);
  const files = [...Deno.readDirSync(path)].map(({ name }) => name).filter(isTestFile).sort();
  const deadline = performance.now() + step.deadlineSeconds * 1000;
  const runs: Run[] = [];
  const failedFiles: string[] = [];
  await Promise.all(lanes.map(async (lane) => {
    for (;;) {
      const file = files.shift();
      if (file === undefined || Deno.exitCode !== 0 || runs.some(({ cut }) => cut)) return;
      const args = [...flags, `${folder}/${file}`];
      const deadlineSeconds = Math.max(1, (deadline - performance.now()) / 1000);
      const run = await runOnce({ ...step, args, deadlineSeconds, live: false }, {
        ...env,
        ...lane,
      });
      if (step.live) console.log(run.output.trimEnd());
      runs.push(run);
      // Also one that did not get as far as its tests.
      if (run.failed > 0) failedFiles.push(`${folder}/${file}`);
    }
  }));
  const sum = (value: (run: Run) => number) => runs.reduce((total, run) => total + value(run), 0);
  return {
    passed: sum(({ passed }) => passed),
    // A file that nobody came to has not passed.
    failed: sum(({ failed }) => failed) + files.length,
    failures: runs.flatMap(({ failures = [] }) => failures),
    cut: runs.some(({ cut }) => cut),
    failedFiles,
    output: "",
  };
}

const isTestFile = (name: string) => name.endsWith("_test.ts");

interface Run extends Totals {
  /** It took too long, or was interrupted. */
  readonly cut: boolean;
  readonly failedFiles: readonly string[];
  readonly output: string;
}

async function runOnce(step: Step, env: Readonly<Record<string, string>>): Promise<Run> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...step.args],
    cwd: fromRoot(""),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // A process group of its own, so that what the step has started can be ended with it.
    detached: true,
  }).spawn();
  let cut = false;
  const stop = () => {
    cut = true;
    void endGroup(child);
  };
  const timer = setTimeout(() => {
    console.log(`${step.name}: not done after ${step.deadlineSeconds} s, stopping it`);
    stop();
  }, step.deadlineSeconds * 1000);
  const interrupted = () => {
    stop();
    Deno.exitCode = 130;
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupted);
  try {
    const drained = new AbortController();
    const streams = Promise.all([
      collect(child.stdout, step.live === true, drained.signal),
      collect(child.stderr, step.live === true, drained.signal),
    ]);
    const status = await child.status;
    const drainTimer = setTimeout(() => drained.abort(), DRAIN_MS);
    const [stdout, stderr] = await streams;
    clearTimeout(drainTimer);
    const totals = step.tests
      ? countTests(stdout, status.success)
      : { passed: status.success ? 1 : 0, failed: status.success ? 0 : 1 };
    if (totals.failed > 0 && !step.live && !step.lanes) console.log(essence(stdout) + stderr);
    return {
      ...totals,
      cut,
      failures: step.tests ? failuresIn(stdout) : [],
      failedFiles: step.tests ? failedFilesIn(stdout) : [],
      output: stdout + stderr,
    };
  } finally {
    clearTimeout(timer);
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.removeSignalListener(signal, interrupted);
    }
  }
}

/** Of a test run only what went wrong; otherwise everything. */
function essence(output: string): string {
  const errors = output.indexOf("\n ERRORS ");
  return errors < 0 ? output : output.slice(errors);
}

const FAILURE_LINES = 4;
const FAILURE_LINE_CHARS = 300;

/**
 * Each failure in the output of `deno test`: the test's name, and how its error begins. Whoever sees only
 * the end of a long log still learns what happened.
 */
export function failuresIn(output: string): string[] {
  const found: string[] = [];
  // deno-lint-ignore no-control-regex -- the headline may be coloured
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, "");
  for (const { 0: head, 1: name, index } of plain.matchAll(/^(\S.*) => \S+\nerror: /gm)) {
    const said: string[] = [];
    for (const line of plain.slice(index + head.length).split("\n", FAILURE_LINES + 1)) {
      if (said.length === FAILURE_LINES || /^\s+at /.test(line)) break;
      if (line.trim() !== "") said.push(`    ${line.slice(0, FAILURE_LINE_CHARS)}`);
    }
    found.push([`  ${name}`, ...said].join("\n"));
  }
  return found;
}

/** The files of the tests that failed, in the output of `deno test`; each once. */
export function failedFilesIn(output: string): string[] {
  // deno-lint-ignore no-control-regex -- the headline may be coloured
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, "");
  const list = plain.slice(Math.max(0, plain.lastIndexOf("\n FAILURES ")));
  return [...new Set([...list.matchAll(/ => (\.\/\S+?):\d+:\d+$/gm)].map((match) => match[1]!))];
}

/**
 * Sums what the summaries say: Deno's `ok | 12 passed | 0 failed`, our own runners' `12 passed, 0 failed`.
 * A step that failed without saying so has one failure.
 */
export function countTests(output: string, success: boolean): Totals {
  let [passed, failed] = [0, 0];
  for (const match of output.matchAll(/(\d+) passed(?: \(\d+ steps?\))?(?: \||,) (\d+) failed/g)) {
    passed += Number(match[1]);
    failed += Number(match[2]);
  }
  return { passed, failed: success || failed > 0 ? failed : 1 };
}

async function endGroup(child: Deno.ChildProcess): Promise<void> {
  signalGroup(child.pid, "SIGTERM");
  const killer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), GRACE_MS);
  await child.status;
  clearTimeout(killer);
  signalGroup(child.pid, "SIGKILL");
}

/** A negative process id means the whole group (kill(2)). */
function signalGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch { /* All of it has ended. */ }
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  live: boolean,
  signal: AbortSignal,
): Promise<string> {
  const reader = stream.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (!live) continue;
    for (let written = 0; written < value.length;) {
      written += Deno.stdout.writeSync(value.subarray(written));
    }
  }
}

/** Prints the closing line and ends the process with the matching code. */
export function close({ passed, failed, failures = [], unsteady = [] }: Totals): never {
  if (unsteady.length > 0) {
    console.log(["Failed first, and passed when run again alone:", ...unsteady].join("\n"));
  }
  if (failures.length > 0) console.log(["What failed:", ...failures].join("\n"));
  console.log(`${passed} passed, ${failed} failed`);
  Deno.exit(failed === 0 && passed > 0 ? Deno.exitCode : 1);
}
