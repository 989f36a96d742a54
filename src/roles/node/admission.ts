import { FleetError } from "../../base/errors.ts";
import type { Manager } from "../manager/manager.ts";
import type { Peer } from "../rpc.ts";

/** Why a peer with a valid certificate is not served: it was removed, or its role is another one by now. */
export function refusal(
  running: { readonly blocked: ReadonlySet<string>; readonly manager: Manager | undefined },
  peer: Peer,
): string | undefined {
  if (peer.role === "anonymous") return undefined;
  if (running.blocked.has(peer.nodeId)) return `node ${peer.nodeId} was removed from the cluster`;
  const node = running.manager?.store.get("node", peer.nodeId);
  // A node that is just being promoted has its certificate before this replica has the news.
  if (peer.role === "manager" && node?.Role === "worker" && node.Spec.Role === "worker") {
    return `node ${peer.nodeId} is no manager any more`;
  }
  return undefined;
}

/** @throws FleetError invalid */
export function checkAvailability(text: string | undefined): "active" | "pause" | "drain" {
  const availability = text || "active";
  if (availability === "active" || availability === "pause" || availability === "drain") {
    return availability;
  }
  throw new FleetError("invalid", `invalid Availability: "${text}"; use active, pause or drain`);
}
