import { STACK_LABEL } from "../../src/core/stack/naming.ts";
import type { ApiService } from "../api_types.ts";
import { filtersText } from "../query.ts";
import { renderList } from "../render/list.ts";
import { naturalCompare } from "../render/natural_sort.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb<{ readonly format?: string }> = {
  define(command) {
    command.value("--format <string>", "table, 'table TEMPLATE', json, or a Go template")
      .examples("fleet stack ls");
  },
  async run({ client, env }, _args, flags) {
    const services = await client.get<ApiService[]>("/services", {
      query: { filters: filtersText([], { label: [STACK_LABEL] }) },
    });
    const counts = new Map<string, number>();
    for (const { Spec } of services) {
      const name = Spec.Labels?.[STACK_LABEL];
      if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const rows = [...counts].sort(([a], [b]) => naturalCompare(a, b))
      .map(([Name, count]) => ({ Name, Services: String(count), Orchestrator: "Swarm" }));
    env.stdout.write(
      renderList(
        {
          headers: { Name: "NAME", Services: "SERVICES" },
          columns: ["Name", "Services"],
          id: "Name",
        },
        rows,
        flags,
      ),
    );
  },
};
