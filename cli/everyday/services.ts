import { FleetError } from "../../src/base/errors.ts";
import type { ApiService } from "../api_types.ts";
import type { ApiClient } from "../client.ts";
import { globMatcher, isGlob } from "../glob.ts";
import { orDidYouMean } from "../nearest.ts";
import { naturalCompare } from "../render/natural_sort.ts";

/**
 * The services that `patterns` name: by name, by id (or a prefix of it), or with `*` and `?` by what
 * matches. What matches more than one is refused unless `all`: a stray star must not stop a cluster.
 *
 * @throws FleetError not-found, conflict
 */
export async function chosenServices(
  client: ApiClient,
  patterns: readonly string[],
  all: boolean,
): Promise<ApiService[]> {
  const services = await client.get<ApiService[]>("/services");
  const chosen = new Set<ApiService>();
  for (const pattern of patterns) {
    const found = matching(services, pattern);
    if (found.length === 0) {
      const names = services.map(({ Spec }) => Spec.Name ?? "");
      throw new FleetError(
        "not-found",
        `no such service: ${pattern}${orDidYouMean(pattern, names, "fleet service ls")}`,
      );
    }
    if (found.length > 1 && !all) {
      const names = found.map(({ Spec }) => Spec.Name).join(", ");
      throw new FleetError(
        "conflict",
        `"${pattern}" means ${found.length} services: ${names}. Name one of them, or add --all.`,
      );
    }
    for (const service of found) chosen.add(service);
  }
  return [...chosen].sort((a, b) => naturalCompare(a.Spec.Name ?? "", b.Spec.Name ?? ""));
}

function matching(services: readonly ApiService[], pattern: string): readonly ApiService[] {
  const exact = services.filter(({ ID, Spec }) => Spec.Name === pattern || ID === pattern);
  if (exact.length > 0) return exact;
  if (!isGlob(pattern)) return services.filter(({ ID }) => ID.startsWith(pattern));
  const matches = globMatcher(pattern);
  return services.filter(({ Spec }) => matches(Spec.Name ?? ""));
}
