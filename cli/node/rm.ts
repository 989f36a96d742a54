import { confirmOnTerminal } from "../confirm.ts";
import { segment } from "../query.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";
import { nodeReference } from "./shared.ts";

export const verb: Verb<{ readonly force?: boolean; readonly yes?: boolean }> = {
  define(command) {
    command.argument("<node...>", "Host names or ids")
      .flag("-f, --force", "Remove a node that is not down, too")
      .flag("-y, --yes", "Ask nothing")
      .examples("fleet node rm h3", "fleet node rm --force h3");
  },
  async run(context, args, { force, yes }) {
    const question = `Remove ${args.join(", ")} from the cluster for good?`;
    await confirmOnTerminal(context.env, question, yes);
    return await forEachReference(context, args, async (reference) => {
      const id = await nodeReference(context.client, reference);
      await context.client.remove(`/nodes/${segment(id)}`, {
        query: { force: force ? true : undefined },
      });
    });
  },
};
