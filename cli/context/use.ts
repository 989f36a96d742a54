import type { Verb } from "../verb.ts";
import { findContext, readContexts, writeContexts } from "./store.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<context>", "A context, or default for this machine's agent")
      .examples("fleet context use office", "fleet context use default");
  },
  async run({ env, print, warn }, [name = ""]) {
    const known = await readContexts(env);
    findContext(known, name);
    await writeContexts(env, { ...known, current: name });
    print(name);
    for (const variable of ["FLEET_HOST", "FLEET_CONTEXT"]) {
      if (env.variable(variable)) warn(`${variable} is set and goes before it; unset ${variable}`);
    }
  },
};
