import type { ResolveImage } from "../../src/core/stack/plan.ts";
import { choice } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { deployStack } from "./deploy.ts";
import { addComposeFlags } from "./read_compose.ts";
import type { ComposeFlags } from "./read_compose.ts";

interface Flags extends ComposeFlags {
  readonly prune?: boolean;
  readonly resolveImage?: ResolveImage;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.usage("[options] [STACK]").argument("[stack]", "Name (default the file's own name)");
    addComposeFlags(command)
      .flag("--prune", "As deploy --prune would")
      .value(
        "--resolve-image <word>",
        "When to ask the registry for digests: always, changed or never (default always)",
        choice("always", "changed", "never"),
      )
      .examples("fleet stack diff -c compose.yaml shop");
  },
  run: (context, [name], flags) => deployStack(context, name, { ...flags, dryRun: true }),
};
