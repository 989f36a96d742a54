import type { Role } from "../../src/model/node.ts";
import type { ApiNode } from "../api_types.ts";
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
      // A name that means no node, or two, is a mistake: then nothing is done to the others either.
      const nodes: ApiNode[] = [];
      let failed = false;
      const fail = (error: unknown) => {
        if (error instanceof ConnectError) throw error;
        context.warn(errorLine(error));
        failed = true;
      };
      for (const reference of references) {
        await getNode(context.client, reference).then((node) => nodes.push(node), fail);
      }
      if (failed) {
        if (references.length > 1) context.warn("Nothing was changed.");
        return EXIT.failed;
      }
      for (const [i, node] of nodes.entries()) {
        const reference = references[i]!;
        if (node.Spec.Role === role) {
          context.print(`Node ${reference} is already a ${role}.`);
          continue;
        }
        try {
          await putNode(context.client, node, { ...node.Spec, Role: role });
          context.print(
            role === "manager"
              ? `Node ${reference} promoted to a manager in the swarm.`
              : `Manager ${reference} demoted in the swarm.`,
          );
        } catch (error) {
          fail(error);
        }
      }
      return failed ? EXIT.failed : EXIT.ok;
    },
  };
}
