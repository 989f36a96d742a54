import { FleetError } from "../../base/errors.ts";
import { findCluster } from "../../core/control/lookup.ts";
import { RENEWAL_GRACE_MS } from "../../core/pki/renewal_schedule.ts";
import { trustBundle } from "../../core/pki/roots.ts";
import type { View } from "../../model/view.ts";
import type { Trust } from "../node/ports.ts";

/**
 * How a node asks whose certificate ended while it was off, so that TLS cannot vouch for it any more: it shows
 * that certificate and signs its request with the key of it.
 */
export interface ExpiredRequest {
  readonly csr: string;
  readonly certPem: string;
  /** Of {@link renewalText} by the old key, base64. */
  readonly signature: string;
}

/** What the old key signs. It names its purpose, so that no other signature can stand for it. */
export function renewalText(nodeId: string, clusterId: string, csrPem: string): string {
  return `fleet: node ${nodeId} of cluster ${clusterId} renews its certificate for ${csrPem}`;
}

/** Largest certificate with chain that is looked at. */
const MAX_CERTIFICATE_LENGTH = 16_384;

/** Checks the shape. @throws FleetError invalid */
export function decodeExpiredRequest(body: unknown): ExpiredRequest {
  const { csr, certPem, signature } = (body ?? {}) as Record<string, unknown>;
  for (const [name, value] of Object.entries({ csr, certPem, signature })) {
    if (typeof value !== "string" || value === "" || value.length > MAX_CERTIFICATE_LENGTH) {
      throw new FleetError("invalid", `${name}: expected a text`);
    }
  }
  return { csr, certPem, signature } as ExpiredRequest;
}

/**
 * Whose request that is. Three things must hold: the certificate is one of this cluster and has not ended too
 * long ago; its key is the newest that the cluster knows of the node, or the one before; and the request was
 * signed with it. A node that was removed is none any more.
 * @throws FleetError unauthorized, forbidden
 */
export function nodeOfExpired(
  view: View,
  trust: Trust,
  request: ExpiredRequest,
  nowMs: number,
): string {
  const cluster = findCluster(view);
  const roots = trustBundle(cluster.RootCA);
  const { nodeId, clusterId, keyId } = trust.verify(
    request.certPem,
    roots,
    nowMs,
    RENEWAL_GRACE_MS,
  );
  const node = view.get("node", nodeId);
  if (clusterId !== cluster.ID || !node || cluster.BlockedNodes?.[nodeId] !== undefined) {
    throw new FleetError(
      "forbidden",
      `node ${nodeId} is not a member of this cluster any more; run fleet leave --force and join again`,
    );
  }
  const text = renewalText(nodeId, clusterId, request.csr);
  if (!node.CertificateKeys?.includes(keyId)) {
    throw new FleetError(
      "unauthorized",
      `the key of this certificate is not the one that node ${nodeId} had last; run fleet leave --force there and join again`,
    );
  }
  if (!trust.signedText(request.certPem, text, request.signature)) {
    throw new FleetError("unauthorized", "the request was not signed with the certificate's key");
  }
  return nodeId;
}
