import { FleetError, messageOf } from "../../base/errors.ts";
import type { RpcDialer } from "../rpc.ts";

/**
 * Calls the leader, which any of the managers at `addresses` names.
 * `limits` are those of the call itself, of which the answer may take long.
 * @throws FleetError of the leader's answer; unavailable, with each failure, when no manager led there
 */
export async function callLeader(
  dialer: RpcDialer,
  addresses: readonly string[],
  route: string,
  body: unknown,
  limits: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<unknown> {
  const failures: string[] = [];
  for (const address of addresses) {
    try {
      const first = await dialer.connect(address);
      try {
        const leader = await first.call("cluster.leader", {}) as { nodeId: string; addr: string };
        if (leader.addr === address) return await first.call(route, body, limits);
        const second = await dialer.connect(leader.addr, { expectNodeId: leader.nodeId });
        try {
          return await second.call(route, body, limits);
        } finally {
          second.close();
        }
      } finally {
        first.close();
      }
    } catch (error) {
      limits.signal?.throwIfAborted();
      if (error instanceof FleetError && !["unavailable", "timeout"].includes(error.kind)) {
        throw error;
      }
      failures.push(messageOf(error));
    }
  }
  throw new FleetError("unavailable", failures.join("; ") || "no manager is known");
}
