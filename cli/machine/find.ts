import type { ApiNode } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { hostname } from "../upgrade/nodes.ts";
import { parseDestination, sshOf } from "./ssh.ts";

/** A machine as a person names it. */
export interface Machine {
  /** The node that it is, where the cluster can be asked and knows it. */
  readonly node?: ApiNode;
  /** `user@machine[:port]`. */
  readonly destination: string;
}

/**
 * The machine that `text` means: a node by its name or id, or whatever ssh takes. A cluster that does not answer
 * knows none. @throws FleetError invalid
 */
export async function findMachine(client: ApiClient, text: string): Promise<Machine> {
  const { host } = parseDestination(text);
  const nodes = await knownNodes(client);
  const node = nodes.find((each) => sshOf(each) === text) ??
    nodes.find((each) => each.ID === text || hostname(each) === text) ??
    nodes.find((each) => host === each.Status.Addr);
  if (!node) return { destination: text };
  const named = node.ID === text || hostname(node) === text;
  return { node, destination: (named ? sshOf(node) ?? node.Status.Addr : undefined) || text };
}

async function knownNodes(client: ApiClient): Promise<readonly ApiNode[]> {
  try {
    return await client.get<ApiNode[]>("/nodes");
  } catch (error) {
    if (error instanceof ConnectError || error instanceof ApiError) return [];
    throw error;
  }
}
