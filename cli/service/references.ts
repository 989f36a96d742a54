import { FleetError } from "../../src/base/errors.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import type { ApiConfig, ApiNetwork, ApiSecret } from "../api_types.ts";
import type { ApiClient } from "../client.ts";
import { ApiError } from "../client.ts";
import { filtersText, segment } from "../query.ts";
import type { References, ResolvedReferences } from "../spec/create_service.ts";

/** Looks up the ids of names; asks only for what is there to ask. @throws FleetError not-found */
export async function resolveReferences(
  client: ApiClient,
  references: References,
): Promise<ResolvedReferences> {
  const [networks, secrets, configs] = await Promise.all([
    networkIds(client, references.networks),
    fileIds<ApiSecret>(client, "secret", references.secrets),
    fileIds<ApiConfig>(client, "config", references.configs),
  ]);
  return { networks, secrets, configs };
}

async function networkIds(
  client: ApiClient,
  names: readonly string[],
): Promise<Record<string, string>> {
  const unique = [...new Set(names)];
  const ids = await Promise.all(unique.map(async (name) => {
    try {
      return (await client.get<ApiNetwork>(`/networks/${segment(name)}`)).Id;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      throw new FleetError("not-found", `network not found: ${name}`);
    }
  }));
  return Object.fromEntries(unique.map((name, index) => [name, ids[index] ?? name]));
}

async function fileIds<T extends { ID: string; Spec: { readonly Name?: string } }>(
  client: ApiClient,
  kind: "secret" | "config",
  names: readonly string[],
): Promise<Record<string, string>> {
  if (names.length === 0) return {};
  const found = await client.get<T[]>(`/${kind}s`, {
    query: { filters: filtersText([], { name: names }) },
  });
  const ids: Record<string, string> = {};
  for (const name of names) {
    // The filter matches prefixes; only the exact name counts, or the whole id.
    const object = found.find((item) => item.Spec.Name === name);
    if (!object) throw new FleetError("not-found", `${kind} not found: ${name}`);
    ids[name] = object.ID;
  }
  return ids;
}

type ConfigUse = NonNullable<
  NonNullable<NonNullable<ServiceSpec["TaskTemplate"]>["ContainerSpec"]>["Configs"]
>[number];

/**
 * Puts the ids of secrets and configs to their names. Which of the configs holds the credentials, if
 * the service has any, is the caller's to say. @throws FleetError not-found
 */
export async function withFileIds(
  client: ApiClient,
  spec: ServiceSpec,
  holdsCredentials: (use: ConfigUse) => boolean,
): Promise<ServiceSpec> {
  const container = spec.TaskTemplate?.ContainerSpec ?? {};
  const { Secrets = [], Configs = [] } = container;
  if (Secrets.length === 0 && Configs.length === 0) return spec;
  const ids = await resolveReferences(client, {
    networks: [],
    secrets: Secrets.map((use) => use.SecretName ?? ""),
    configs: Configs.map((use) => use.ConfigName ?? ""),
  });
  const credentials = container.Privileges?.CredentialSpec;
  const holder = credentials && Configs.find(holdsCredentials);
  return {
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      ContainerSpec: {
        ...container,
        Secrets: Secrets.map((use) => ({
          ...use,
          SecretID: ids.secrets[use.SecretName ?? ""] ?? "",
        })),
        Configs: Configs.map((use) => ({
          ...use,
          ConfigID: ids.configs[use.ConfigName ?? ""] ?? "",
        })),
        ...(holder
          ? {
            Privileges: {
              ...container.Privileges,
              CredentialSpec: {
                ...credentials,
                Config: ids.configs[holder.ConfigName ?? ""] ?? "",
              },
            },
          }
          : {}),
      },
    },
  };
}
