import { FleetError } from "../../src/base/errors.ts";
import type { ApiInfo, ApiNode } from "../api_types.ts";
import type { ApiClient } from "../client.ts";
import { segment } from "../query.ts";

/** `HOST:PORT` where this manager takes joining nodes. @throws FleetError unavailable */
export async function managerAddress(client: ApiClient): Promise<{ id: string; address: string }> {
  const id = (await client.get<ApiInfo>("/info")).Swarm?.NodeID ?? "";
  const node = await client.get<ApiNode>(`/nodes/${segment(id)}`);
  const address = node.ManagerStatus?.Addr;
  if (!address) {
    throw new FleetError("unavailable", "this node has no manager address yet; try again shortly");
  }
  return { id, address };
}

/** The lines that tell how another node joins. */
export function joinInstructions(role: string, token: string, address: string): string {
  return `To add a ${role} to this swarm, run the following command:

    fleet join --token ${token} ${address}
`;
}

/** The lines that hand over the unlock key. */
export function unlockInstructions(key: string): string {
  return `To unlock a swarm manager after it restarts, run \`fleet unlock\`
and provide the following key:

    ${key}

Remember to store this key in a password manager, since without it you
will not be able to restart the manager.
`;
}
