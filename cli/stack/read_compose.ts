import { FleetError, messageOf } from "../../src/base/errors.ts";
import { parseDotEnv } from "../../src/core/stack/env_file.ts";
import type { Lookup } from "../../src/core/stack/interpolate.ts";
import { loadStack } from "../../src/core/stack/load.ts";
import type { ComposeText, LoadedStack } from "../../src/core/stack/load.ts";
import { absolutePath, folderOf } from "../../src/core/stack/paths.ts";
import type { FleetCommand } from "../fleet_command.ts";
import type { CliEnvironment } from "../environment.ts";
import type { VerbContext } from "../verb.ts";

/** What verbs that read compose files have in common. */
export interface ComposeFlags {
  readonly composeFile?: readonly string[];
  readonly envFile?: readonly string[];
  readonly profile?: readonly string[];
}

export function addComposeFlags(command: FleetCommand): FleetCommand {
  return command
    .list("-c, --compose-file <path>", "Compose file, - for standard input; later ones win")
    .list("--env-file <path>", "File of variables for ${…} (default .env beside the first file)")
    .list("--profile <name>", "Include the services of this profile");
}

/** Taken from the working directory where no file is named, the first that is there. */
const DEFAULT_FILES = [
  "compose.yaml",
  "compose.yml",
  "docker-stack.yml",
  "docker-compose.yaml",
  "docker-compose.yml",
];

export interface ReadStack extends LoadedStack {
  readonly lookup: Lookup;
}

/** Reads the compose files and says what in them does nothing. @throws FleetError invalid */
export async function readCompose(
  context: VerbContext,
  flags: ComposeFlags,
  options: { readonly interpolate?: boolean; readonly stack?: string | undefined } = {},
): Promise<ReadStack> {
  const { env } = context;
  const home = env.variable("HOME") ?? "/root";
  const here = { folder: env.cwd(), home };
  const names = flags.composeFile?.length ? flags.composeFile : [await defaultFile(env)];
  const texts: ComposeText[] = [];
  for (const name of names) texts.push(await readFile(env, name));
  const [first = "-"] = names;
  const folder = first === "-" ? here.folder : folderOf(absolutePath(first, here));
  const lookup = await variables(context, flags.envFile, folder);
  const loaded = await loadStack(texts, {
    places: { folder, home },
    lookup,
    readText: async (path) => decode(await env.readFile(path)),
    interpolate: options.interpolate ?? true,
    ...(options.stack === undefined ? {} : { stack: options.stack }),
    profiles: [
      ...flags.profile ?? [],
      ...(env.variable("COMPOSE_PROFILES") ?? "").split(",").filter((name) => name !== ""),
    ],
  });
  const { unsupported, notes } = loaded.remarks;
  if (unsupported.size > 0) {
    const list = [...unsupported].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, places]) => `${key} (${places.join(", ")})`);
    context.warn(`Ignoring unsupported options: ${list.join(", ")}`);
  }
  for (const note of notes) context.warn(note);
  return { ...loaded, lookup: (name) => lookup(name) ?? loaded.variables.get(name) };
}

async function defaultFile(env: CliEnvironment): Promise<string> {
  for (const name of DEFAULT_FILES) {
    try {
      await env.readFile(name);
      return name;
    } catch {
      // The next one, then.
    }
  }
  throw new FleetError(
    "invalid",
    `there is no ${DEFAULT_FILES[0]} here: name the file with --compose-file`,
  );
}

async function readFile(env: CliEnvironment, name: string): Promise<ComposeText> {
  if (name === "-") return { name: "stdin", text: decode(await env.stdin.readAll()) };
  try {
    return { name, text: decode(await env.readFile(name)) };
  } catch (error) {
    throw new FleetError("invalid", `compose file ${name} cannot be read: ${messageOf(error)}`);
  }
}

/** The process's variables win over those of files, as everywhere with compose files. */
async function variables(
  context: VerbContext,
  files: readonly string[] | undefined,
  folder: string,
): Promise<Lookup> {
  const { env } = context;
  const own: Lookup = (name) => env.variable(name);
  const found = new Map<string, string>();
  const lookup: Lookup = (name) => own(name) ?? found.get(name);
  for (const name of files ?? [`${folder}/.env`]) {
    let text: string;
    try {
      text = decode(await env.readFile(name));
    } catch (error) {
      if (!files) break;
      throw new FleetError("invalid", `--env-file ${name} cannot be read: ${messageOf(error)}`);
    }
    for (const [key, value] of parseDotEnv(name, text, lookup)) found.set(key, value);
    if (!files) context.warn(`Variables from ${name}: ${[...found.keys()].sort().join(", ")}`);
  }
  return lookup;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
