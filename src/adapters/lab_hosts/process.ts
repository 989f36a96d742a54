import { FleetError } from "../../base/errors.ts";

/** Result of a program that has ended. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Never throws for its exit code. */
export async function capture(
  argv: readonly string[],
  options: { stdin?: string | Uint8Array; env?: Record<string, string>; timeoutMs?: number } = {},
): Promise<Output> {
  const [command, ...args] = argv;
  const child = new Deno.Command(command!, {
    args,
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    ...(options.env ? { env: options.env } : {}),
    ...(options.timeoutMs ? { signal: AbortSignal.timeout(options.timeoutMs) } : {}),
  }).spawn();
  if (options.stdin !== undefined) {
    const bytes = typeof options.stdin === "string"
      ? new TextEncoder().encode(options.stdin)
      : options.stdin;
    const writer = child.stdin.getWriter();
    await writer.write(bytes as Uint8Array<ArrayBuffer>).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs a program that must succeed. @throws FleetError internal with the program's own words */
export async function must(
  argv: readonly string[],
  options: Parameters<typeof capture>[1] = {},
): Promise<string> {
  const { code, stdout, stderr } = await capture(argv, options);
  if (code !== 0) {
    throw new FleetError("internal", `${argv.join(" ")}: ${stderr.trim() || `exit code ${code}`}`);
  }
  return stdout;
}

/** Waits until `ready` answers true. @throws FleetError timeout, naming `what` */
export async function until(
  what: string,
  ready: () => Promise<boolean> | boolean,
  timeoutMs = 20_000,
  pollMs = 25,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!await ready()) {
    if (performance.now() > deadline) {
      throw new FleetError("timeout", `${what}: not so after ${timeoutMs / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Whether a process with this pid runs (a zombie does not). */
export function isAlive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !/^\d+ \(.*\) [ZX]/s.test(stat);
  } catch {
    return false;
  }
}

export function signalPid(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !isEsrch(error)) throw error;
  }
}

function isEsrch(error: unknown): boolean {
  return error instanceof Error && /ESRCH/.test(error.message);
}
