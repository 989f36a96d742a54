import type { ApiNode, ApiService, ApiTask } from "./api_types.ts";
import type { ApiClient } from "./client.ts";
import type { FleetCommand } from "./fleet_command.ts";
import { addListFlags } from "./list_flags.ts";
import type { ListFlags } from "./list_flags.ts";
import { filtersText } from "./query.ts";
import { renderTasks } from "./render/tasks.ts";
import type { Names } from "./render/tasks.ts";
import type { VerbContext } from "./verb.ts";

/** What the `ps` verbs of services, nodes and stacks share. */
export interface PsFlags extends ListFlags {
  readonly noTrunc?: boolean;
  readonly noResolve?: boolean;
}

export function addPsFlags(command: FleetCommand): FleetCommand {
  return addListFlags(command)
    .flag("--no-trunc", "Show ids, images and errors in full")
    .flag("--no-resolve", "Show ids instead of names of services and nodes");
}

/** Fetches the tasks that `filters` and the user's own filter match, and prints them. */
export async function printTasks(
  { client, env }: VerbContext,
  filters: Readonly<Record<string, readonly string[]>>,
  flags: PsFlags,
): Promise<void> {
  const [tasks, names] = await Promise.all([
    client.get<ApiTask[]>("/tasks", { query: { filters: filtersText(flags.filter, filters) } }),
    flags.noResolve || flags.quiet ? asIds : fetchNames(client),
  ]);
  env.stdout.write(renderTasks(tasks, names, env.now(), flags));
}

const asIds: Names = { service: (id) => id, node: (id) => id };

/** Two lists instead of one request per id: a table may hold tasks of every service and node. */
export async function fetchNames(client: ApiClient): Promise<Names> {
  const [services, nodes] = await Promise.all([
    client.get<ApiService[]>("/services"),
    client.get<ApiNode[]>("/nodes"),
  ]);
  const serviceNames = new Map(services.map((service) => [service.ID, service.Spec.Name]));
  const nodeNames = new Map(
    nodes.map((node) => [node.ID, node.Spec.Name || node.Description?.Hostname]),
  );
  return {
    service: (id) => serviceNames.get(id) || id,
    node: (id) => nodeNames.get(id) || id,
  };
}
