import type { BuildInfo } from "../../cli/environment.ts";

/** Version of this source; releases set the tag to it. */
const VERSION = "0.1.0";
/** A build may say that it is another one, for trying upgrades. */
const OTHER_VERSION = "__FLEET_VERSION__";
/** `scripts/compile.ts` puts the values of the build in the place of these words. */
const COMMIT = "__FLEET_COMMIT__";
const BUILD_KIND = "__FLEET_BUILD_KIND__";

/** What this executable is; a program run from source says so. */
export function buildInfo(): BuildInfo {
  const filled = (value: string, otherwise: string) => value.startsWith("__") ? otherwise : value;
  return {
    version: filled(OTHER_VERSION, VERSION),
    commit: filled(COMMIT, "unknown"),
    buildKind: filled(BUILD_KIND, "source"),
    denoVersion: Deno.version.deno,
  };
}
