import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** `path` inside the checkout as an absolute path. */
export function fromRoot(path: string): string {
  return ROOT + path;
}

/** Runs a program with our output; rejects when it fails. */
export async function run(
  argv: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<void> {
  const [command, ...args] = argv;
  const { code, signal } = await new Deno.Command(command!, {
    args,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
    ...options,
  }).output();
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${signal ?? `exit code ${code}`}`);
}
