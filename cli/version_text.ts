import type { BuildInfo } from "./environment.ts";

/** One line: version, commit, how the executable was built, and the Deno in it. */
export function versionText(build: BuildInfo): string {
  return `fleet version ${build.version}, commit ${build.commit}, ${build.buildKind}, Deno ${build.denoVersion}`;
}
