import { FleetError, messageOf } from "../../src/base/errors.ts";
import type { CliEnvironment } from "../environment.ts";
import type { FleetCommand } from "../fleet_command.ts";

export interface PassphraseFlags {
  readonly passphraseFile?: string;
}

/** Where the passphrase stands for scripts. */
const VARIABLE = "FLEET_BACKUP_PASSPHRASE";
const MIN_LENGTH = 8;

export function addPassphraseFlag(command: FleetCommand): FleetCommand {
  return command.value(
    "--passphrase-file <path>",
    `File with the passphrase (else ${VARIABLE}, else asked for)`,
  );
}

/** The passphrase of a backup. A new one is asked for twice. @throws FleetError invalid */
export async function passphrase(
  env: CliEnvironment,
  { passphraseFile }: PassphraseFlags,
  kind: "new" | "known",
): Promise<string> {
  const text = passphraseFile !== undefined
    ? await firstLine(env, passphraseFile)
    : env.variable(VARIABLE) || await asked(env, kind);
  if (text.length < MIN_LENGTH) {
    throw new FleetError("invalid", `the passphrase needs at least ${MIN_LENGTH} characters`);
  }
  return text;
}

/** As a header carries it. */
export function passphraseHeader(text: string): Record<string, string> {
  return { "fleet-passphrase": new TextEncoder().encode(text).toBase64() };
}

async function firstLine(env: CliEnvironment, path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await env.readFile(path)).split(/\r?\n/, 1)[0] ?? "";
  } catch (error) {
    throw new FleetError("invalid", `--passphrase-file: cannot read ${path}: ${messageOf(error)}`);
  }
}

async function asked(env: CliEnvironment, kind: "new" | "known"): Promise<string> {
  if (!env.stdin.isTTY) {
    throw new FleetError(
      "invalid",
      `a backup needs a passphrase: give --passphrase-file FILE or set ${VARIABLE}`,
    );
  }
  const first = await env.stdin.readLine({ prompt: "Passphrase of the backup: ", hidden: true });
  if (kind === "new") {
    const again = await env.stdin.readLine({ prompt: "Once more: ", hidden: true });
    if (first !== again) throw new FleetError("invalid", "the two passphrases differ");
  }
  return first ?? "";
}
