import type { Verb } from "../verb.ts";
import { readContexts } from "./store.ts";

export const verb: Verb = {
  define(command) {
    command.examples("fleet context show");
  },
  async run({ env, print }) {
    print(env.variable("FLEET_CONTEXT") || (await readContexts(env)).current);
  },
};
