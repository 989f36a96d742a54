import { FleetError } from "../../src/base/errors.ts";
import type { NodeSpec } from "../../src/model/node.ts";
import { changedRecord } from "../spec/lists.ts";
import { toRecord } from "../spec/pairs.ts";
import { choice, parseNonNegativeDuration } from "../spec/values.ts";
import type { Verb } from "../verb.ts";
import { addWaitFlags, waitUntilDrained } from "./drained.ts";
import type { WaitFlags } from "./drained.ts";
import { getNode, putNode } from "./shared.ts";

interface Flags extends WaitFlags {
  readonly role?: "worker" | "manager";
  readonly availability?: "active" | "pause" | "drain";
  readonly labelAdd?: readonly string[];
  readonly labelRm?: readonly string[];
}

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<node>", "Host name or id, or self");
    addWaitFlags(
      command,
      "With --availability drain: until nothing runs there any more",
      parseNonNegativeDuration,
    )
      .value("--availability <word>", "active, pause or drain", choice("active", "pause", "drain"))
      .value("--role <word>", "worker or manager", choice("worker", "manager"))
      .list("--label-add <label>", "Add or change a label (key=value)")
      .list("--label-rm <key>", "Remove a label")
      .examples(
        "fleet node update --availability drain h2",
        "fleet node update --label-add zone=a h1",
      );
  },
  async run(context, [reference = ""], flags) {
    const { client, print } = context;
    if (flags.wait && flags.availability !== "drain") {
      throw new FleetError("invalid", "--wait goes with --availability drain only");
    }
    const node = await getNode(client, reference);
    await putNode(client, node, changedNodeSpec(node.Spec, flags));
    print(reference);
    if (flags.wait) await waitUntilDrained(context, node.ID, flags);
  },
};

/** @throws FleetError not-found when a label to remove is not there */
export function changedNodeSpec(spec: NodeSpec, flags: Flags): NodeSpec {
  for (const key of flags.labelRm ?? []) {
    if (spec.Labels?.[key] === undefined) {
      throw new FleetError("not-found", `the node has no label "${key}" that could be removed`);
    }
  }
  return {
    ...spec,
    Labels: changedRecord(spec.Labels, toRecord(flags.labelAdd), flags.labelRm),
    ...(flags.role ? { Role: flags.role } : {}),
    ...(flags.availability ? { Availability: flags.availability } : {}),
  };
}
