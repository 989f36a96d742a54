import type { Role } from "../../src/model/node.ts";
import { ConnectError } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { errorLine } from "../several.ts";
import type { Verb } from "../verb.ts";
import { getNode, putNode } from "./shared.ts";

/** `promote` and `demote`: the same but for the role. */
export function roleVerb(role: Role): Verb {
  return {
    define(command) {
      command.argument("<node...>", "Host names or ids, or self")
        .examples(`fleet node ${role === "manager" ? "promote" : "demote"} h2 h3`);
    },
    async run(context, references) {
      let failed = false;
      for (const reference of references) {
        try {
          const node = await getNode(context.client, reference);
          if (node.Spec.Role === role) {
            context.print(`Node ${reference} is already a ${role}.`);
            continue;
          }
          await putNode(context.client, node, { ...node.Spec, Role: role });
          context.print(
            role === "manager"
              ? `Node ${reference} promoted to a manager in the swarm.`
              : `Manager ${reference} demoted in the swarm.`,
          );
        } catch (error) {
          if (error instanceof ConnectError) throw error;
          context.warn(errorLine(error));
          failed = true;
        }
      }
      return failed ? EXIT.failed : EXIT.ok;
    },
  };
}
