import { kindOf } from "../src/base/errors.ts";
import type { CliEnvironment } from "./environment.ts";
import { versionText } from "./version_text.ts";

export type { AgentOptions, BackgroundAgent, CliEnvironment, LabCommands } from "./environment.ts";

/**
 * The `fleet` command: `argv` without the executable's name; resolves to the exit code and never
 * rejects. Nothing is loaded before it is known to be needed.
 */
export async function runCli(argv: readonly string[], env: CliEnvironment): Promise<number> {
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-v")) {
    env.stdout.write(`${versionText(env.build)}\n`);
    return 0;
  }
  if (argv[0] === "__complete") {
    const { complete } = await import("./completion/complete.ts");
    env.stdout.write(await complete(argv.slice(1), env).catch(() => ""));
    return 0;
  }
  const { runProgram, reportFailure } = await import("./program.ts");
  try {
    return await runProgram(argv, env);
  } catch (error) {
    return kindOf(error) === "canceled" ? 130 : reportFailure(error, env);
  }
}
