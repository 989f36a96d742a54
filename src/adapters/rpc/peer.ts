/** Who a verified certificate says it is. */
import type { PeerCertificate } from "node:tls";
import type { Peer } from "./types.ts";

/** Ids go into logs and look-ups: nothing that could be a path or a line break. */
const ID = /^[0-9A-Za-z_-]{1,64}$/;

const ROLES: Readonly<Record<string, "manager" | "worker">> = {
  "swarm-manager": "manager",
  "swarm-worker": "worker",
};

export type Identified = Exclude<Peer, { role: "anonymous" }>;

/** The identity, or a sentence why the certificate is none. Chain and key were checked by TLS. */
export function identify(
  certificate: Pick<PeerCertificate, "subject" | "valid_from" | "valid_to">,
  nowMs: number,
): Identified | string {
  const subject = certificate.subject as unknown as Record<string, unknown> | undefined;
  const { CN: nodeId, OU: unit, O: clusterId } = subject ?? {};
  if (typeof nodeId !== "string" || !ID.test(nodeId)) return "its certificate names no node";
  const role = typeof unit === "string" && Object.hasOwn(ROLES, unit) ? ROLES[unit] : undefined;
  if (role === undefined) return `the certificate of ${nodeId} names no role`;
  if (typeof clusterId !== "string" || !ID.test(clusterId)) {
    return `the certificate of ${nodeId} names no cluster`;
  }
  // TLS checked this too, but by its own clock and not for a resumed session.
  const end = Date.parse(certificate.valid_to);
  if (!(nowMs <= end)) return `the certificate of ${nodeId} expired on ${certificate.valid_to}`;
  if (!(nowMs >= Date.parse(certificate.valid_from))) {
    return `the certificate of ${nodeId} is valid only from ${certificate.valid_from}`;
  }
  return { role, nodeId, clusterId };
}

/** Short words for logs and messages. */
export function describePeer(peer: Peer): string {
  return peer.role === "anonymous" ? "a caller without certificate" : `${peer.role} ${peer.nodeId}`;
}
