import { FleetError } from "../../base/errors.ts";

/** Result of a program that has ended. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CaptureOptions {
  readonly stdin?: string | Uint8Array;
  /** Added to the caller's environment, or all of it with `clearEnv`. */
  readonly env?: Record<string, string>;
  readonly clearEnv?: boolean;
  readonly cwd?: string;
  /** The program and its children are killed then; the exit code is 137. */
  readonly timeoutMs?: number;
}

const MAX_DEPTH = 8;
/** Long enough for a change of leader and the start of containers on a machine that is busy. */
const UNTIL_MS = 60_000;

/** Runs a program to its end. Never throws for its exit code. @throws when it cannot be started */
export async function capture(
  argv: readonly string[],
  options: CaptureOptions = {},
): Promise<Output> {
  const { stdin, timeoutMs, ...settings } = options;
  const [command, ...args] = argv;
  const child = new Deno.Command(command!, {
    ...settings,
    args,
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = timeoutMs === undefined
    ? undefined
    : setTimeout(() => killTree(child.pid), timeoutMs);
  try {
    const output = child.output();
    if (stdin !== undefined) {
      const bytes = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
      // A program that has read enough closes early; its exit code tells what that means.
      const writer = child.stdin.getWriter();
      await writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
      await writer.close().catch(() => {});
    }
    const { code, stdout, stderr } = await output;
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a program that must succeed. @throws FleetError internal with the program's own words */
export async function must(argv: readonly string[], options: CaptureOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await capture(argv, options);
  if (code !== 0) {
    throw new FleetError("internal", `${argv.join(" ")}: ${stderr.trim() || `exit code ${code}`}`);
  }
  return stdout;
}

/**
 * Waits until `ready` answers true. For conditions outside this process, which send no event.
 * @throws FleetError timeout, naming `what`; the signal's reason
 */
export async function until(
  what: string,
  ready: () => Promise<boolean> | boolean,
  timeoutMs = UNTIL_MS,
  pollMs = 25,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!await ready()) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new FleetError("timeout", `${what}: not so after ${timeoutMs / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/**
 * Whether a process with this pid runs. A zombie does not, unless other threads of it are still ending: they
 * keep its files and locks until then.
 */
export function isAlive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    if (!/^\d+ \(.*\) [ZX]/s.test(stat)) return true;
    return [...Deno.readDirSync(`/proc/${pid}/task`)].length > 1;
  } catch {
    return false;
  }
}

/** Looks at an environment, of which some microseconds of `execve` show nothing or a part. */
const ENVIRONMENT_LOOKS = 100;

/** Whether the environment of a process has `entry` (`NAME=value`). @throws NotFound when it has ended */
export function hasInEnvironment(pid: number, entry: string): boolean {
  for (let look = 0; look < ENVIRONMENT_LOOKS; look++) {
    if (Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0").includes(entry)) return true;
  }
  return false;
}

/** Sends a signal; a process that has ended is none. */
export function signalPid(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !isEsrch(error)) throw error;
  }
}

/** `nsenter` waits for a child of its own: killing only it would leave the program behind. */
export function killTree(pid: number, depth = 0): void {
  let children: number[] = [];
  try {
    children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(/\s+/)
      .filter(Boolean).map(Number);
  } catch { /* It has ended. */ }
  signalPid(pid, "SIGKILL");
  if (depth < MAX_DEPTH) { for (const child of children) killTree(child, depth + 1); }
}

function isEsrch(error: unknown): boolean {
  return error instanceof Error && /ESRCH/.test(error.message);
}
