import type { FleetInfo } from "./api_types.ts";
import { ApiError } from "./client.ts";
import type { ApiClient } from "./client.ts";

/** What Docker's API has no word for; undefined from an agent that does not know it. */
export async function fleetInfo(client: ApiClient): Promise<FleetInfo | undefined> {
  try {
    return await client.get<FleetInfo>("/fleet/info") ?? undefined;
  } catch (error) {
    // A nicety beside other output: it must not fail the command.
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** The sentence about how many managers may fail; undefined where the agent has none (a worker). */
export async function toleranceSentence(client: ApiClient): Promise<string | undefined> {
  // A nicety at the end of other output: an agent that does not know it must not fail the command.
  return (await fleetInfo(client))?.Tolerance || undefined;
}
