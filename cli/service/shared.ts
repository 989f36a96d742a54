import type { ServiceSpec } from "../../src/model/service_spec.ts";
import type { ApiService } from "../api_types.ts";
import type { Query } from "../client.ts";
import { segment } from "../query.ts";
import type { VerbContext } from "../verb.ts";

/** A service by name or id, as it is stored. */
export function getService(
  { client }: VerbContext,
  reference: string,
  query: Query = {},
): Promise<ApiService> {
  return client.get<ApiService>(`/services/${segment(reference)}`, { query });
}

/** Writes `spec` over the one that was read with `service`, and passes the agent's warnings on. */
export async function putService(
  context: VerbContext,
  service: ApiService,
  spec: ServiceSpec,
  options: { query?: Query; headers?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const answer = await context.client.post<{ Warnings?: readonly string[] | null } | undefined>(
    `/services/${segment(service.ID)}/update`,
    {
      query: { version: service.Version.Index, ...options.query },
      body: spec,
      ...(options.headers ? { headers: options.headers } : {}),
    },
  );
  for (const warning of answer?.Warnings ?? []) context.warn(warning);
}
