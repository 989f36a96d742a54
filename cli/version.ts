import { renderInspect } from "./render/inspect.ts";
import type { Verb } from "./verb.ts";
import { versionText } from "./version_text.ts";

export const verb: Verb<{ readonly format?: string }> = {
  define(command) {
    command.value("-f, --format <string>", "json, or a Go template")
      .examples("fleet version --format '{{.Version}}'");
  },
  async run({ env, print }, _args, { format }) {
    const { version, commit, buildKind, denoVersion } = env.build;
    if (!format) return print(versionText(env.build));
    const fields = { Version: version, Commit: commit, BuildKind: buildKind, Deno: denoVersion };
    env.stdout.write(renderInspect([fields], format));
  },
};
