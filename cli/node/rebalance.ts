import { addRebalanceFlags, rebalance } from "../rebalance.ts";
import type { RebalanceFlags } from "../rebalance.ts";
import type { Verb } from "../verb.ts";
import { nodeReference } from "./shared.ts";

export const verb: Verb<RebalanceFlags> = {
  define(command) {
    addRebalanceFlags(command.argument("[node]", "Host name or id; this node when none is named"))
      .examples("fleet node rebalance --dry-run h3", "fleet node rebalance h3");
  },
  async run(context, [reference = "self"], flags) {
    await rebalance(context, { node: await nodeReference(context.client, reference) }, flags);
  },
};
