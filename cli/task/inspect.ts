import type { ApiTask } from "../api_types.ts";
import { addInspectFlags } from "../list_flags.ts";
import type { InspectFlags } from "../list_flags.ts";
import { segment } from "../query.ts";
import { inspectEach } from "../several.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<InspectFlags> = {
  define(command) {
    addInspectFlags(command.argument("<task...>", "Ids"), false)
      .examples("fleet task inspect --format '{{.Status.Err}}' h3k9x2");
  },
  run(context, args, flags) {
    return inspectEach<ApiTask>(
      context,
      args,
      flags,
      (reference) => context.client.get(`/tasks/${segment(reference)}`),
    );
  },
};
