import type { ApiNetwork, ApiService } from "../api_types.ts";
import { addInspectFlags } from "../list_flags.ts";
import type { InspectFlags } from "../list_flags.ts";
import { inspectEach } from "../several.ts";
import type { Verb } from "../verb.ts";
import { getService } from "./shared.ts";

export const verb: Verb<InspectFlags> = {
  define(command) {
    addInspectFlags(command.argument("<service...>", "Names or ids")).examples(
      "fleet service inspect --pretty web",
      "fleet service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' web",
    );
  },
  run(context, args, flags) {
    return inspectEach<ApiService>(
      context,
      args,
      flags,
      (reference) => getService(context, reference, { insertDefaults: true }),
      async (service) => {
        const { prettyService } = await import("./pretty.ts");
        const attached = service.Spec.TaskTemplate?.Networks ?? service.Spec.Networks ?? [];
        const names = new Map<string, string>();
        if (attached.length > 0) {
          const networks = await context.client.get<ApiNetwork[]>("/networks");
          for (const network of networks) names.set(network.Id, network.Name);
        }
        return prettyService(service, names, context.env.now());
      },
    );
  },
};
