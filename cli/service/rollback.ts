import type { Verb } from "../verb.ts";
import { getService, putService } from "./shared.ts";
import { waitForService } from "./wait.ts";

interface Flags {
  readonly detach?: boolean;
  readonly quiet?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<service>", "Name or id")
      .flag("-d, --detach", "Do not wait until the service has converged")
      .flag("-q, --quiet", "Wait, but show no progress")
      .examples("fleet service rollback web");
  },
  async run(context, [reference = ""], flags) {
    const service = await getService(context, reference);
    await putService(context, service, service.Spec, { query: { rollback: "previous" } });
    context.print(reference);
    if (flags.detach) return;
    await waitForService(context, service.ID, { quiet: flags.quiet === true, rollback: true });
  },
};
