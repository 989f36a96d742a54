import { auditRefusal, isRefusal, performAudited } from "../../core/control/audit.ts";
import type { Asker } from "../../core/control/audit.ts";
import type { ControlContext } from "../../core/control/context.ts";
import type { ControlArgs, ControlMethod, ControlResult } from "../../core/control/methods.ts";
import { perform } from "../../core/control/perform.ts";

/** Refusals whose note is on its way; more at once are no use to a reader and are not noted. */
const MAX_NOTES = 16;
let notes = 0;

/**
 * Performs a control method in one transaction, with its entry in the audit log when a user asked for it.
 * A refusal gets an entry of its own.
 */
export async function performAsUser<M extends ControlMethod>(
  write: <T>(run: (context: ControlContext) => T) => Promise<T>,
  { method, args, asker }: { method: M; args: ControlArgs<M>; asker: Asker | undefined },
): Promise<ControlResult<M>> {
  if (!asker) return await write((context) => perform(context, method, args));
  try {
    return await write((context) => performAudited(context, method, args, asker));
  } catch (error) {
    if (isRefusal(error) && notes < MAX_NOTES) {
      notes++;
      const refused = (context: ControlContext) =>
        auditRefusal(context, method, args, asker, error.message);
      // The answer does not wait for it, and is the same without it.
      void write(refused).catch(() => {}).finally(() => notes--);
    }
    throw error;
  }
}
