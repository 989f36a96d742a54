import { EXIT } from "../exit_codes.ts";
import { getService, putService } from "../service/shared.ts";
import { waitForService } from "../service/wait.ts";
import type { Verb } from "../verb.ts";
import { chosenServices } from "./services.ts";
import { stoppedSpec } from "./stopped.ts";

interface Flags {
  readonly all?: boolean;
  readonly detach?: boolean;
}

export const verb: Verb<Flags> = {
  define(command) {
    command.argument("<service...>", "Names, ids, or patterns with * and ?")
      .flag("-a, --all", "Stop everything that a pattern matches")
      .flag("-d, --detach", "Do not wait until the tasks have ended")
      .addHelpText(
        "after",
        "\nThe services stay, with no replicas; fleet restart brings their replicas back.",
      )
      .examples("fleet stop web", "fleet stop --all 'test-*'");
  },
  async run(context, patterns, { all = false, detach }) {
    const services = await chosenServices(context.client, patterns, all);
    // All of them are checked before the first is stopped.
    const planned = services.map((service) => ({ service, spec: stoppedSpec(service.Spec) }));
    for (const { service, spec } of planned) {
      if (spec) await putService(context, await getService(context, service.ID), spec);
      context.print(spec ? `${service.Spec.Name} stopped` : `${service.Spec.Name} was stopped`);
    }
    if (!detach) {
      for (const { service } of planned) await waitForService(context, service.ID, { quiet: true });
    }
    return EXIT.ok;
  },
};
