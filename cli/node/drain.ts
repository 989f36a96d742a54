import { parseNonNegativeDuration } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addWaitFlags, drainOne } from "./drained.ts";
import type { WaitFlags } from "./drained.ts";

export const verb: Verb<WaitFlags> = {
  define(command) {
    addWaitFlags(
      command.argument("<node>", "Host name or id, or self"),
      "Wait until nothing runs there any more",
      parseNonNegativeDuration,
    ).addHelpText(
      "after",
      "\nTasks go elsewhere in the order and at the parallelism of their service's update settings; with\n" +
        "start-first the new task runs before the old one stops.",
    ).examples("fleet node drain --wait h2", "fleet node drain --wait --timeout 10m h2");
  },
  run: (context, [reference = ""], flags) => drainOne(context, reference, flags),
};
