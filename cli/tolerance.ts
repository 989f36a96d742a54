import type { FleetInfo } from "./api_types.ts";
import { ApiError } from "./client.ts";
import type { ApiClient } from "./client.ts";

/** What only fleet's own part of the API tells; undefined of an agent that does not know it. */
export async function fleetInfo(client: ApiClient): Promise<FleetInfo | undefined> {
  try {
    return await client.get<FleetInfo>("/fleet/info");
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** The sentence about how many managers may fail; undefined where the agent has none (a worker). */
export async function toleranceSentence(client: ApiClient): Promise<string | undefined> {
  // A nicety at the end of other output: an agent that does not know it must not fail the command.
  return (await fleetInfo(client))?.Tolerance || undefined;
}
