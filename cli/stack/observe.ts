import { FleetError, messageOf } from "../../src/base/errors.ts";
import type { FileRequest } from "../../src/core/stack/convert_files.ts";
import type { DesiredStack } from "../../src/core/stack/desired.ts";
import type { Lookup } from "../../src/core/stack/interpolate.ts";
import { STACK_LABEL } from "../../src/core/stack/naming.ts";
import type { FileStep, ObservedStack } from "../../src/core/stack/plan.ts";
import type { ApiConfig, ApiInfo, ApiNetwork, ApiSecret, ApiService } from "../api_types.ts";
import type { ApiTask } from "../api_types.ts";
import { ApiError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { toBase64 } from "../file_objects.ts";
import { filtersText, segment } from "../query.ts";
import type { VerbContext } from "../verb.ts";

/** The filter for what belongs to a stack. */
export function stackFilter(stack: string): Record<string, readonly string[]> {
  return { label: [`${STACK_LABEL}=${stack}`] };
}

/** A secret or config with its data at hand, and what there is of it in the cluster. */
export interface PreparedFile extends FileRequest {
  /** Base64; absent where a driver holds it. */
  readonly data?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly step: FileStep;
  readonly current?: ApiSecret | ApiConfig;
}

/** @throws FleetError unavailable on a node that is no manager */
export async function requireManager(client: ApiClient): Promise<void> {
  const info = await client.get<ApiInfo>("/info");
  if (!info.Swarm?.ControlAvailable) {
    throw new FleetError(
      "unavailable",
      `the node at ${client.host} is no manager: deploy from a manager, or make a cluster with "fleet init"`,
    );
  }
}

/** Everything in the cluster that a deployment of `desired` depends on. */
export async function observeStack(
  { client }: VerbContext,
  desired: DesiredStack,
  files: readonly PreparedFile[],
): Promise<ObservedStack> {
  const filters = filtersText([], stackFilter(desired.name));
  const [services, tasks, networks] = await Promise.all([
    client.get<ApiService[]>("/services", { query: { filters } }),
    client.get<ApiTask[]>("/tasks", {
      query: {
        filters: filtersText([], { ...stackFilter(desired.name), "desired-state": ["running"] }),
      },
    }),
    client.get<ApiNetwork[]>("/networks"),
  ]);
  checkExternalNetworks(desired, networks);
  const count = new Map<string, number>();
  for (const { ServiceID = "" } of tasks) count.set(ServiceID, (count.get(ServiceID) ?? 0) + 1);
  const clusterWide = networks.filter(({ Scope }) => Scope === "swarm");
  return {
    services: services.map((service) => ({
      ID: service.ID,
      Version: service.Version,
      Spec: service.Spec,
      tasks: count.get(service.ID) ?? 0,
    })),
    networks: new Set(clusterWide.map(({ Name }) => Name)),
    networkNames: new Map(networks.map(({ Id, Name }) => [Id, Name])),
    files: new Map(files.map(({ kind, name, step }) => [`${kind} ${name}`, step])),
    fileIds: new Map(
      files.flatMap(({ kind, name, current }) => current ? [[`${kind} ${name}`, current.ID]] : []),
    ),
  };
}

/** The engine's own networks exist on every node and are nobody's to create. */
const ENGINE_NETWORKS = ["bridge", "host", "none"];

function checkExternalNetworks(desired: DesiredStack, networks: readonly ApiNetwork[]): void {
  for (const name of desired.externalNetworks) {
    if (ENGINE_NETWORKS.includes(name)) continue;
    const found = networks.filter(({ Name, Id }) => Name === name || Id === name);
    if (found.length === 0) {
      throw new FleetError(
        "not-found",
        `network "${name}" is declared as external, but there is none: create it first with "fleet network create ${name}"`,
      );
    }
    if (!found.some(({ Scope }) => Scope === "swarm")) {
      throw new FleetError(
        "invalid",
        `network "${name}" is declared as external, but it is this engine's alone: a stack needs one of the cluster ("fleet network create")`,
      );
    }
  }
}

/** Reads the data of secrets and configs and compares it with what is in the cluster. */
export async function prepareFiles(
  context: VerbContext,
  desired: DesiredStack,
  lookup: Lookup,
): Promise<PreparedFile[]> {
  const out: PreparedFile[] = [];
  for (const file of desired.files) {
    const labels = { ...file.entry.labels, [STACK_LABEL]: desired.name };
    const data = await readData(context, file, lookup);
    const current = await existing(context.client, file);
    const step = current
      ? await compareFile(context.client, file, current, data, labels)
      : "create";
    out.push({
      ...file,
      labels,
      step,
      ...(data === undefined ? {} : { data }),
      ...(current ? { current } : {}),
    });
  }
  return out;
}

async function readData(
  { env }: VerbContext,
  { kind, name, entry }: FileRequest,
  lookup: Lookup,
): Promise<string | undefined> {
  if (entry.driver !== undefined) return undefined;
  if (entry.content !== undefined) return toBase64(new TextEncoder().encode(entry.content));
  if (entry.environment !== undefined) {
    const value = lookup(entry.environment);
    if (value === undefined) {
      throw new FleetError(
        "invalid",
        `${kind} ${name}: the variable ${entry.environment} that holds it is not set`,
      );
    }
    return toBase64(new TextEncoder().encode(value));
  }
  try {
    return toBase64(await env.readFile(entry.file ?? ""));
  } catch (error) {
    throw new FleetError("invalid", `${kind} ${name}: ${entry.file}: ${messageOf(error)}`);
  }
}

async function existing(
  client: ApiClient,
  { kind, name }: FileRequest,
): Promise<ApiSecret | ApiConfig | undefined> {
  try {
    return await client.get<ApiSecret>(`/${kind}s/${segment(name)}`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

async function compareFile(
  client: ApiClient,
  { kind }: FileRequest,
  current: ApiSecret | ApiConfig,
  data: string | undefined,
  labels: Readonly<Record<string, string>>,
): Promise<FileStep> {
  if (data !== undefined) {
    // A secret's data never leaves the managers: they compare.
    const { Same } = kind === "config"
      ? { Same: (current as ApiConfig).Spec.Data === data }
      : await client.post<{ Same: boolean }>(`/fleet/secrets/${segment(current.ID)}/compare`, {
        body: { Data: data },
      });
    if (!Same) return "rotate";
  }
  const now = current.Spec.Labels ?? {};
  const same = Object.keys({ ...now, ...labels }).every((key) => now[key] === labels[key]);
  return same ? "none" : "labels";
}
