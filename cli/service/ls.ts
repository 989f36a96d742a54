import type { ApiService } from "../api_types.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { filtersText } from "../query.ts";
import { renderServices } from "../render/services.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<ListFlags> = {
  define(command) {
    addListFlags(command).examples(
      "fleet service ls --filter mode=global",
      "fleet service ls --format 'table {{.Name}}\\t{{.Replicas}}'",
    );
  },
  async run({ client, env }, _args, flags) {
    const services = await client.get<ApiService[]>("/services", {
      query: { filters: filtersText(flags.filter), status: flags.quiet ? undefined : true },
    });
    env.stdout.write(renderServices(services, flags));
  },
};
