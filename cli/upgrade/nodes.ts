import type { ApiNode } from "../api_types.ts";
import type { ApiClient, Query } from "../client.ts";

/** What a node says of itself. */
export interface About {
  readonly Version: string;
  readonly Commit: string;
  readonly TimeMs: number;
  readonly Trial: boolean;
  readonly RolledBack: string;
}

/** Where questions to a node go. */
export type Ask = {
  about(): Promise<About>;
  upgrade(query: Query): Promise<{ From: string; To: string }>;
};

export function askNode(client: ApiClient, id: string | undefined): Ask {
  const base = id === undefined ? "/fleet/self" : `/fleet/nodes/${id}`;
  return {
    about: () => client.get(`${base}/about`),
    upgrade: (query) => client.post(`${base}/upgrade`, { query }),
  };
}

export const hostname = (node: ApiNode): string =>
  node.Spec.Name || node.Description?.Hostname || node.ID;

/** Workers first, then managers, the leader last: it changes once, and only when all others are done. */
export function upgradeOrder(nodes: readonly ApiNode[]): ApiNode[] {
  const rank = ({ ManagerStatus }: ApiNode) => !ManagerStatus ? 0 : ManagerStatus.Leader ? 2 : 1;
  return nodes.toSorted((a, b) => rank(a) - rank(b) || hostname(a).localeCompare(hostname(b)));
}
