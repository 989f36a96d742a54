import { FleetError } from "../../src/base/errors.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";
import { checkContextName, findContext, readContexts, writeContexts } from "./store.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<contexts...>", "Contexts").examples("fleet context rm office");
  },
  async run(context, names) {
    return await forEachReference(context, names, async (name) => {
      checkContextName(name);
      const known = await readContexts(context.env);
      findContext(known, name);
      if (known.current === name) {
        throw new FleetError("conflict", `context "${name}" is in use: fleet context use default`);
      }
      const { [name]: _, ...contexts } = known.contexts;
      await writeContexts(context.env, { ...known, contexts });
    });
  },
};
