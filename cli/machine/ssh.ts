import { FleetError } from "../../src/base/errors.ts";
import type { ApiNode } from "../api_types.ts";
import type { CliEnvironment, SshLogin } from "../environment.ts";

const DESTINATION = /^(?:([\w.-]+)@)?([\w.-]+)(?::(\d+))?$/;
/** A node's label that says how ssh reaches it: `user@machine[:port]`; `machine add` writes it. */
export const SSH_LABEL = "fleet.ssh";

/** @throws FleetError invalid */
export function checkDestination(text: string): void {
  parseDestination(text);
}

/** The parts of `user@machine[:port]`. @throws FleetError invalid */
export function parseDestination(text: string): Pick<SshLogin, "host" | "user" | "port"> {
  const [, user, host, port] = DESTINATION.exec(text) ?? [];
  if (!host || text.startsWith("-") || host.startsWith("-")) {
    throw new FleetError("invalid", `"${text}" is no machine: write it as user@machine[:port]`);
  }
  return { host, ...(user ? { user } : {}), ...(port ? { port: Number(port) } : {}) };
}

/** How ssh reaches a node, if anybody has said so. */
export function sshOf(node: ApiNode): string | undefined {
  return node.Spec.Labels?.[SSH_LABEL] || undefined;
}

/** Runs a shell script on another machine, over OpenSSH; its output. @throws FleetError unavailable */
export async function onMachine(
  env: CliEnvironment,
  destination: string,
  script: string,
  input: Uint8Array = new Uint8Array(0),
): Promise<string> {
  checkDestination(destination);
  // The login shell may be any; the script is for sh.
  const { code, stdout } = await env.ssh(destination, `sh -c ${word(script)}`, input);
  if (code === 0) return stdout;
  throw new FleetError(
    "unavailable",
    `${destination}: it did not work (exit code ${code}), see above`,
  );
}

/** Text as one word of the shell. */
export const word = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The beginning of a script that needs root: `$sudo` before what needs it. */
export const SUDO =
  'PATH=$PATH:/usr/local/bin:/usr/sbin:/sbin; if [ "$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi\n';
