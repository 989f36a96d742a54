import type { ApiNode } from "../api_types.ts";
import { addInspectFlags } from "../list_flags.ts";
import type { InspectFlags } from "../list_flags.ts";
import { inspectEach } from "../several.ts";
import type { Verb } from "../verb.ts";
import { prettyNode } from "./pretty.ts";
import { getNode } from "./shared.ts";

export const verb: Verb<InspectFlags> = {
  define(command) {
    addInspectFlags(command.argument("<node...>", "Host names or ids, or self"))
      .examples("fleet node inspect self --pretty");
  },
  run(context, args, flags) {
    return inspectEach<ApiNode>(
      context,
      args,
      flags,
      (reference) => getNode(context.client, reference),
      prettyNode,
    );
  },
};
