import type { ApiClient } from "./client.ts";
import type { CliEnvironment } from "./environment.ts";
import type { FleetCommand } from "./fleet_command.ts";

/** What a verb works with while it runs. */
export interface VerbContext {
  readonly env: CliEnvironment;
  /** The agent at `--host`; connects at its first request. */
  readonly client: ApiClient;
  /** Whether `--host` or FLEET_HOST named the agent: then none is started here. */
  readonly hostGiven: boolean;
  /** `user@machine[:port]` when the agent is reached over SSH. */
  readonly via?: string;
  /** Writes one line to standard output. */
  print(line: string): void;
  /** Writes one line to standard error. */
  warn(line: string): void;
}

/**
 * One verb of the CLI; each lives in its own file, loaded when it is called. `define` adds arguments,
 * flags and examples; `run` gets the values by the flags' camel-case names and resolves to an exit code
 * (nothing is 0).
 */
export interface Verb<Options extends object = Record<never, never>> {
  define(command: FleetCommand): void;
  run(context: VerbContext, args: readonly string[], options: Options): Promise<number | void>;
}

/** An entry of the command table: a verb, or a noun with verbs of its own. */
export interface Entry {
  readonly summary: string;
  readonly aliases?: readonly string[];
  readonly load?: () => Promise<{ verb: Verb<never> }>;
  readonly verbs?: Readonly<Record<string, Entry>>;
  readonly hidden?: boolean;
}
