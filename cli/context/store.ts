import { FleetError, messageOf } from "../../src/base/errors.ts";
import type { CliEnvironment } from "../environment.ts";

/** A cluster under a name. */
export interface Context {
  /** As `--host` takes it. */
  readonly host: string;
  readonly description?: string;
  /** Folder with ca.pem, cert.pem and key.pem, for a host on TCP. */
  readonly certPath?: string;
}

interface Contexts {
  readonly current: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

/** What is there without any: this machine's agent. */
export const DEFAULT_CONTEXT = "default";
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

function path(env: CliEnvironment): string {
  const folder = env.variable("FLEET_CONFIG") ||
    `${env.variable("XDG_CONFIG_HOME") || `${env.variable("HOME") ?? ""}/.config`}/fleet`;
  return `${folder}/contexts.json`;
}

/** @throws FleetError invalid for a damaged file */
export async function readContexts(env: CliEnvironment): Promise<Contexts> {
  let bytes: Uint8Array;
  try {
    bytes = await env.readFile(path(env));
  } catch {
    return { current: DEFAULT_CONTEXT, contexts: {} };
  }
  try {
    const { current, contexts } = JSON.parse(new TextDecoder().decode(bytes)) as Contexts;
    return { current: current || DEFAULT_CONTEXT, contexts: contexts ?? {} };
  } catch (error) {
    throw new FleetError("invalid", `${path(env)} is damaged: ${messageOf(error)}; remove it`);
  }
}

export async function writeContexts(env: CliEnvironment, contexts: Contexts): Promise<void> {
  const text = `${JSON.stringify(contexts, null, 2)}\n`;
  await env.replaceFile(path(env), new TextEncoder().encode(text));
}

/** @throws FleetError invalid */
export function checkContextName(name: string): void {
  if (NAME.test(name) && name !== DEFAULT_CONTEXT) return;
  throw new FleetError(
    "invalid",
    `"${name}" is no name for a context: letters, digits, _ . -, and not "${DEFAULT_CONTEXT}"`,
  );
}

/** @throws FleetError not-found, naming those there are */
export function findContext({ contexts }: Contexts, name: string): Context | undefined {
  if (name === DEFAULT_CONTEXT) return undefined;
  const found = contexts[name];
  if (found) return found;
  const names = [DEFAULT_CONTEXT, ...Object.keys(contexts).sort()].join(", ");
  throw new FleetError("not-found", `there is no context "${name}"; there are ${names}`);
}

/**
 * Which agent a command talks to: `--host`, `--context`, FLEET_HOST, FLEET_CONTEXT, the context in use.
 * @throws FleetError not-found
 */
export async function chosenContext(
  env: CliEnvironment,
  flags: { readonly host?: string; readonly context?: string },
): Promise<Context | undefined> {
  if (flags.host) return { host: flags.host };
  if (flags.context) return findContext(await readContexts(env), flags.context);
  const host = env.variable("FLEET_HOST");
  if (host) return { host };
  const contexts = await readContexts(env);
  return findContext(contexts, env.variable("FLEET_CONTEXT") || contexts.current);
}
