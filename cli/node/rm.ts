import { segment } from "../query.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";
import { nodeReference } from "./shared.ts";

export const verb: Verb<{ readonly force?: boolean }> = {
  define(command) {
    command.argument("<node...>", "Host names or ids")
      .flag("-f, --force", "Remove a node that is not down, too")
      .examples("fleet node rm h3", "fleet node rm --force h3");
  },
  run(context, args, { force }) {
    return forEachReference(context, args, async (reference) => {
      const id = await nodeReference(context.client, reference);
      await context.client.remove(`/nodes/${segment(id)}`, {
        query: { force: force ? true : undefined },
      });
    });
  },
};
