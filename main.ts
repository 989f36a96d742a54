/**
 * fleet: one executable that is the CLI, the manager and the worker. Everything but the command line
 * itself is loaded on demand, so that short commands start fast; `src/compose/` puts the parts together.
 */
import { runCli } from "./cli/main.ts";
import { buildInfo } from "./src/compose/build_info.ts";
import { cliEnvironment } from "./src/compose/cli_environment.ts";

if (import.meta.main) {
  const code = await runCli(Deno.args, cliEnvironment(buildInfo()));
  Deno.exit(code);
}
