import { FleetError } from "../../base/errors.ts";

/** A tool that has not ended after this long hangs. */
const TOOL_TIMEOUT_MS = 20_000;

export interface ToolOutput {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the machine with `stdin`. @throws FleetError unavailable when it is not installed */
export async function runTool(
  argv: readonly string[],
  signal: AbortSignal,
  stdin?: string,
): Promise<ToolOutput> {
  const [command = "", ...args] = argv;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args,
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      env: { LC_ALL: "C" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TOOL_TIMEOUT_MS)]),
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new FleetError(
      "unavailable",
      `the program ${command} is not installed: overlay networks need iproute2 and nftables`,
    );
  }
  const output = child.output();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { success, stdout, stderr } = await output;
  signal.throwIfAborted();
  const decoder = new TextDecoder();
  return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
