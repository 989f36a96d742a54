import type { ApiNode } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import { hostname } from "../upgrade/nodes.ts";
import type { VerbContext } from "../verb.ts";

/**
 * After a change of leader a node is unknown until its next session: a moment for most, and the new leader
 * takes who does not come for down after six heartbeat periods, half of this by default.
 */
const SETTLE_MS = 60_000;
const POLL_MS = 500;

/**
 * The nodes, as soon as none is unknown any more or the time for that is over; says so in one line when that
 * takes a wait. For verbs that would otherwise take a node that has yet to come back for one that is away.
 */
export async function settledNodes(
  { client, env, warn }: Pick<VerbContext, "client" | "env" | "warn">,
): Promise<ApiNode[]> {
  const deadline = env.now() + SETTLE_MS;
  let nodes = await client.get<ApiNode[]>("/nodes");
  if (unknown(nodes).length > 0) {
    warn(
      `The managers have not heard from ${
        unknown(nodes).join(", ")
      } yet, as after a change of leader: waiting up to ${SETTLE_MS / 1000} s.`,
    );
  }
  while (unknown(nodes).length > 0 && env.now() < deadline) {
    await env.sleep(POLL_MS);
    nodes = await client.get<ApiNode[]>("/nodes").catch((error) => {
      // The leader may change once more.
      if (error instanceof ConnectError || (error instanceof ApiError && error.status >= 500)) {
        return nodes;
      }
      throw error;
    });
  }
  return nodes;
}

function unknown(nodes: readonly ApiNode[]): string[] {
  return nodes.filter(({ Status }) => Status.State === "unknown").map(hostname).sort();
}
