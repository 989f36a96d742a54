import { dirname } from "node:path";
import { FleetError, messageOf } from "../../base/errors.ts";

/** Starts of a new executable that may fail before the old one is put back. */
export const TRIAL_STARTS = 3;

/** Beside the executable. */
export const placesOf = (executable: string) => ({
  previous: `${executable}.previous`,
  /** `VERSION STARTS`, while a new executable is on trial. */
  trial: `${executable}.trial`,
  /** The version that was put away again. */
  rolledBack: `${executable}.rolled-back`,
});

export const guardPath = (dataDir: string): string => `${dataDir}/upgrade-guard.sh`;

/**
 * Runs before each start. It is no part of the new executable, since it must work when that one does not:
 * counts the starts of a trial, and goes back to the previous executable when they were too many.
 */
export function guardScript(executable: string): string {
  const { previous, trial, rolledBack } = placesOf(executable);
  return `#!/bin/sh
# Written by fleet: goes back to the previous executable when a new one does not come up.
bin=${quoted(executable)} previous=${quoted(previous)} trial=${quoted(trial)}
[ -f "$trial" ] && [ -x "$previous" ] || exit 0
read -r version starts <"$trial" || starts=0
case $starts in '' | *[!0-9]*) starts=0 ;; esac
if [ "$starts" -ge ${TRIAL_STARTS} ]; then
  mv -f "$previous" "$bin" && mv -f "$trial" ${quoted(rolledBack)}
  echo "fleet $version did not come up in ${TRIAL_STARTS} starts: the previous executable is back" >&2
else
  printf '%s %s\\n' "$version" $((starts + 1)) >"$trial.new" && mv -f "$trial.new" "$trial"
fi
exit 0
`;
}

/** For the shell. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

const STAGED = ".fleet-new-";

/**
 * Writes a new executable beside the old one, runnable, and resolves to its path. What an agent that died in
 * the midst of this has left there is removed: it would stay for ever.
 */
export async function stage(executable: string, bytes: Uint8Array): Promise<string> {
  const dir = dirname(executable);
  for await (const { name } of Deno.readDir(dir)) {
    if (name.startsWith(STAGED)) await Deno.remove(`${dir}/${name}`).catch(() => {});
  }
  const path = await Deno.makeTempFile({ dir, prefix: STAGED });
  using file = await Deno.open(path, { write: true, truncate: true });
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
  await file.sync();
  await Deno.chmod(path, 0o755);
  return path;
}

/** The version that an executable says it is. @throws FleetError invalid when it does not run here */
export async function versionOf(path: string): Promise<string> {
  const output = await new Deno.Command(path, { args: ["--version"], stdin: "null" }).output()
    .catch((error: unknown) => {
      throw new FleetError("invalid", `the new executable does not run here: ${messageOf(error)}`);
    });
  const said = new TextDecoder().decode(output.stdout);
  const version = /^fleet version ([0-9A-Za-z.+-]+)/.exec(said)?.[1];
  if (output.success && version) return version;
  throw new FleetError("invalid", "the new executable does not say which fleet it is");
}

/** Puts a staged executable in place: from here on it is on trial. */
export async function swap(
  executable: string,
  staged: string,
  version: string,
  dataDir: string,
): Promise<void> {
  const { previous, trial, rolledBack } = placesOf(executable);
  await Deno.writeTextFile(guardPath(dataDir), guardScript(executable), { mode: 0o700 });
  await Deno.remove(rolledBack).catch(() => {});
  await Deno.remove(previous).catch(() => {});
  await Deno.link(executable, previous);
  await Deno.writeTextFile(trial, `${version} 0\n`);
  await Deno.rename(staged, executable);
}
