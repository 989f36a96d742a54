import type { ApiNetwork } from "../api_types.ts";
import { addInspectFlags } from "../list_flags.ts";
import type { InspectFlags } from "../list_flags.ts";
import { segment } from "../query.ts";
import { inspectEach } from "../several.ts";
import type { Verb } from "../verb.ts";

interface Flags extends InspectFlags {
  readonly verbose?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    addInspectFlags(command.argument("<network...>", "Names or ids"), false)
      .flag("-v, --verbose", "Show services and peers, too")
      .examples("fleet network inspect --format '{{.Driver}}' back");
  },
  run(context, args, flags) {
    return inspectEach<ApiNetwork>(
      context,
      args,
      flags,
      (reference) =>
        context.client.get(`/networks/${segment(reference)}`, {
          query: { verbose: flags.verbose ? true : undefined },
        }),
    );
  },
};
