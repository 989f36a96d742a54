import { CommanderError } from "commander";
import { messageOf } from "../src/base/errors.ts";
import { ApiError, connect, DEFAULT_HOST, sshDestination } from "./client.ts";
import { COMMANDS } from "./commands.ts";
import { chosenContext } from "./context/store.ts";
import type { CliEnvironment } from "./environment.ts";
import { EXIT, EXIT_CODES_HELP, exitCodeOf } from "./exit_codes.ts";
import { FleetCommand } from "./fleet_command.ts";
import { clientTls } from "./client_tls.ts";
import type { Entry, Verb, VerbContext } from "./verb.ts";
import { versionText } from "./version_text.ts";

/** Reads are answered without a majority, too; nobody shall take them for the newest. */
const STALE =
  "WARNING: no majority of the managers answers: what is shown is what the asked one knows and may be out of date";

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}

/** Parses `argv` (without the executable), runs the verb, and resolves to the exit code. */
export async function runProgram(argv: readonly string[], env: CliEnvironment): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new FleetCommand("fleet");
  program
    .description("Run services on a cluster of Docker hosts.")
    .value("-H, --host <address>", `Agent to talk to (env FLEET_HOST, default ${DEFAULT_HOST})`)
    .value("-c, --context <name>", "Cluster to talk to (env FLEET_CONTEXT): fleet context ls")
    .version(versionText(env.build), "-v, --version", "Print version and quit")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => env.stdout.write(text),
      writeErr: (text) => env.stderr.write(text),
      getOutHelpWidth: () => env.stdout.columns(),
      getErrHelpWidth: () => env.stderr.columns(),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .helpCommand(false)
    .addHelpText("after", `\n${EXIT_CODES_HELP}`);
  addEntries(program, COMMANDS, async (verb, command) => {
    const chosen = await chosenContext(env, program.opts());
    const given = chosen?.host;
    const tunnel = await tunnelTo(given, env);
    const client = connect(
      tunnel ? `unix://${tunnel.socket}` : given || DEFAULT_HOST,
      await clientTls(given, env, chosen?.certPath),
      once(() => env.stderr.write(`${STALE}\n`)),
    );
    const context: VerbContext = {
      env,
      client,
      hostGiven: Boolean(given),
      ...(tunnel ? { via: sshDestination(given ?? "")! } : {}),
      print: (line) => env.stdout.write(`${line}\n`),
      warn: (line) => env.stderr.write(`${line}\n`),
    };
    try {
      exitCode = await verb.run(context, command.args, command.opts() as never) ?? EXIT.ok;
    } finally {
      client.close();
      tunnel?.close();
    }
  });
  try {
    await program.parseAsync(helpLast(argv), { from: "user" });
  } catch (error) {
    return reportFailure(error, env);
  }
  return exitCode;
}

/** The way to a host that is reached over SSH. */
async function tunnelTo(host: string | undefined, env: CliEnvironment) {
  const destination = sshDestination(host ?? "");
  return destination === undefined ? undefined : await env.sshTunnel(destination);
}

/** The sentence of a failure on standard error, and its exit code. */
export function reportFailure(error: unknown, env: CliEnvironment): number {
  // Commander has already written its own message.
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  const prefix = error instanceof ApiError ? "Error response from daemon" : "error";
  env.stderr.write(`${prefix}: ${messageOf(error)}\n`);
  return exitCodeOf(error);
}

type Run = (verb: Verb<never>, command: FleetCommand) => Promise<void>;

/**
 * Adds one level of commands, each with its name and summary only. A noun's verbs are added when the
 * noun is chosen, a verb's file is loaded when the verb is: starting up costs what is used.
 */
function addEntries(
  parent: FleetCommand,
  entries: Readonly<Record<string, Entry>>,
  run: Run,
): void {
  for (const [name, entry] of Object.entries(entries)) {
    const command = parent.command(name, { hidden: entry.hidden ?? false }) as FleetCommand;
    command.summary(entry.summary).description(`${entry.summary}.`).helpCommand(false);
    if (entry.aliases) command.aliases([...entry.aliases]);
    if (entry.verbs) command.usage("COMMAND");
  }
  parent.hook("preSubcommand", async (_parent, chosen) => {
    const command = chosen as FleetCommand;
    const entry = entries[command.name()];
    if (entry?.verbs) return addEntries(command, entry.verbs, run);
    const loaded = await entry?.load?.();
    if (!loaded) return;
    const path = commandPath(command);
    command.showHelpAfterError(`See "${path} --help".`);
    command.action(() => run(loaded.verb, command));
    loaded.verb.define(command);
  });
}

function commandPath(command: FleetCommand): string {
  const parent = command.parent as FleetCommand | null;
  return parent ? `${commandPath(parent)} ${command.name()}` : command.name();
}

/** `fleet help service create` is `fleet service create --help`. */
function helpLast(argv: readonly string[]): string[] {
  const [first, second, ...rest] = argv;
  if (first === "help") return [...argv.slice(1), "--help"];
  if (second === "help" && first !== undefined && COMMANDS[first]?.verbs) {
    return [first, ...rest, "--help"];
  }
  return [...argv];
}
