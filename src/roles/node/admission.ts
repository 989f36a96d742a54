import { FleetError } from "../../base/errors.ts";
import type { Manager } from "../manager/manager.ts";
import type { Peer } from "../rpc.ts";

/** Why a peer with a valid certificate is not served at all: it was removed from the cluster. */
export function refusal(
  running: { readonly blocked: ReadonlySet<string> },
  peer: Peer,
): string | undefined {
  if (peer.role === "anonymous" || !running.blocked.has(peer.nodeId)) return undefined;
  return `node ${peer.nodeId} was removed from the cluster`;
}

/**
 * A demoted manager has its old certificate until it fetched a new one, for which it needs a session and
 * a renewal; everything that only managers may do is refused to it from the demotion on.
 * @throws FleetError forbidden
 */
export function assertManager(manager: Manager, peer: Peer): void {
  if (peer.role !== "manager") throw new FleetError("forbidden", "only managers may do this");
  const node = manager.store.get("node", peer.nodeId);
  // A node that is just being promoted has its certificate before this replica has the news.
  if (node?.Role === "worker" && node.Spec.Role === "worker") {
    throw new FleetError("forbidden", `node ${peer.nodeId} is no manager any more`);
  }
}

/** @throws FleetError invalid */
export function checkAvailability(text: string | undefined): "active" | "pause" | "drain" {
  const availability = text || "active";
  if (availability === "active" || availability === "pause" || availability === "drain") {
    return availability;
  }
  throw new FleetError("invalid", `invalid Availability: "${text}"`);
}
