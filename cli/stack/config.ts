import { configText } from "../../src/core/stack/config_text.ts";
import type { Verb } from "../verb.ts";
import { addComposeFlags, readCompose } from "./read_compose.ts";
import type { ComposeFlags } from "./read_compose.ts";

interface Flags extends ComposeFlags {
  readonly skipInterpolation?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    addComposeFlags(command)
      .flag("--skip-interpolation", "Leave ${…} as it stands")
      .examples("fleet stack config -c compose.yaml -c production.yaml");
  },
  async run(context, _args, flags) {
    const { file } = await readCompose(context, flags, {
      interpolate: flags.skipInterpolation !== true,
    });
    context.env.stdout.write(configText(file));
  },
};
