import { FleetError } from "../../src/base/errors.ts";
import type { CliEnvironment } from "../environment.ts";

const DESTINATION = /^(?:[\w.-]+@)?[\w.-]+(?::\d+)?$/;

/** @throws FleetError invalid */
export function checkDestination(text: string): void {
  if (DESTINATION.test(text) && !text.startsWith("-")) return;
  throw new FleetError("invalid", `"${text}" is no machine: write it as user@machine[:port]`);
}

/** Runs a shell script on another machine, over OpenSSH; its output. @throws FleetError unavailable */
export async function onMachine(
  env: CliEnvironment,
  destination: string,
  script: string,
  input: Uint8Array = new Uint8Array(0),
): Promise<string> {
  checkDestination(destination);
  const { code, stdout } = await env.ssh(destination, script, input);
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
