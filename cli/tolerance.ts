import type { FleetInfo } from "./api_types.ts";
import { ApiError } from "./client.ts";
import type { ApiClient } from "./client.ts";

/** The sentence about how many managers may fail; undefined where the agent has none (a worker). */
export async function toleranceSentence(client: ApiClient): Promise<string | undefined> {
  try {
    const info = await client.get<FleetInfo>("/fleet/info");
    return info?.Tolerance || undefined;
  } catch (error) {
    // A nicety at the end of other output: an agent that does not know it must not fail the command.
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}
