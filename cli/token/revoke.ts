import { segment } from "../query.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<token...>", "Ids as fleet token ls shows them")
      .addHelpText("after", "\nNodes that have joined with it stay.")
      .examples("fleet token revoke 4f0c2");
  },
  run(context, args) {
    return forEachReference(
      context,
      args,
      (id) => context.client.remove(`/fleet/tokens/${segment(id)}`),
    );
  },
};
