import type { ApiInfo, ApiNode } from "../api_types.ts";
import type { ApiClient } from "../client.ts";
import { FleetError } from "../../src/base/errors.ts";
import { segment } from "../query.ts";
import type { NodeSpec } from "../../src/model/node.ts";

/** The API knows no `self`: it is the node whose agent is asked. @throws FleetError unavailable */
export async function nodeReference(client: ApiClient, reference: string): Promise<string> {
  if (reference !== "self") return reference;
  const id = (await client.get<ApiInfo>("/info")).Swarm?.NodeID;
  if (!id) {
    throw new FleetError(
      "unavailable",
      `"self" is unknown: this node is in no cluster. Use "fleet init" or "fleet join" first.`,
    );
  }
  return id;
}

export async function getNode(client: ApiClient, reference: string): Promise<ApiNode> {
  return await client.get<ApiNode>(`/nodes/${segment(await nodeReference(client, reference))}`);
}

/** Writes `spec` over the one that was read with `node`. */
export async function putNode(client: ApiClient, node: ApiNode, spec: NodeSpec): Promise<void> {
  await client.post(`/nodes/${segment(node.ID)}/update`, {
    query: { version: node.Version.Index },
    body: spec,
  });
}
