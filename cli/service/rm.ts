import { confirmOnTerminal } from "../confirm.ts";
import { segment } from "../query.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<{ readonly yes?: boolean }> = {
  define(command) {
    command.argument("<service...>", "Names or ids")
      .flag("-y, --yes", "Ask nothing")
      .examples("fleet service rm web", "fleet service rm --yes web db");
  },
  async run(context, args, { yes }) {
    const question = `Remove ${args.join(", ")} and stop all tasks of ${
      args.length === 1 ? "it" : "them"
    }?`;
    await confirmOnTerminal(context.env, question, yes);
    return await forEachReference(
      context,
      args,
      (reference) => context.client.remove(`/services/${segment(reference)}`),
    );
  },
};
