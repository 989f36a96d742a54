import { ApiError } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { addPsFlags, printTasks } from "../tasks.ts";
import type { PsFlags } from "../tasks.ts";
import type { Verb } from "../verb.ts";
import { getService } from "./shared.ts";

export const verb: Verb<PsFlags> = {
  define(command) {
    addPsFlags(command.argument("<service...>", "Names or ids")).examples(
      "fleet service ps web",
      "fleet service ps --filter desired-state=running --no-trunc web",
    );
  },
  async run(context, references, flags) {
    const ids: string[] = [];
    const missing: string[] = [];
    for (const reference of references) {
      try {
        ids.push((await getService(context, reference)).ID);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
        missing.push(`no such service: ${reference}`);
      }
    }
    if (ids.length > 0) await printTasks(context, { service: ids }, flags);
    for (const line of missing) context.warn(line);
    return missing.length > 0 ? EXIT.failed : EXIT.ok;
  },
};
