import { BINARY } from "./fleet_lab.ts";

/**
 * Writes a command `fleet` into `folder`, for the front of PATH: the compiled one, whose lab is the
 * one called `name`. So lines of the guide can be typed as they stand there.
 */
export async function writeFleetOfLab(folder: string, name: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const script = `#!/bin/sh
if [ "$1" = lab ]; then verb=$2; shift 2; set -- lab "$verb" --name ${name} "$@"; fi
exec "${BINARY}" "$@"
`;
  await Deno.writeTextFile(`${folder}/fleet`, script, { mode: 0o755 });
}
