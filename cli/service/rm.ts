import { segment } from "../query.ts";
import { forEachReference } from "../several.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb = {
  define(command) {
    command.argument("<service...>", "Names or ids").examples("fleet service rm web");
  },
  run(context, args) {
    return forEachReference(
      context,
      args,
      (reference) => context.client.remove(`/services/${segment(reference)}`),
    );
  },
};
