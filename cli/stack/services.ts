import type { ApiService } from "../api_types.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { filtersText } from "../query.ts";
import { renderServices } from "../render/services.ts";
import type { Verb } from "../verb.ts";
import { stackFilter } from "./observe.ts";

export const verb: Verb<ListFlags> = {
  define(command) {
    addListFlags(command.argument("<stack>", "Name")).examples("fleet stack services shop");
  },
  async run({ client, env, warn }, [stack = ""], flags) {
    const services = await client.get<ApiService[]>("/services", {
      query: {
        filters: filtersText(flags.filter, stackFilter(stack)),
        status: flags.quiet ? undefined : true,
      },
    });
    if (services.length === 0) return warn(`Nothing found in stack: ${stack}`);
    env.stdout.write(renderServices(services, flags));
  },
};
