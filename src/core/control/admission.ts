import { FleetError } from "../../base/errors.ts";
import type { Node, Role } from "../../model/node.ts";
import { timeText } from "../../model/meta.ts";
import type { ControlContext } from "./context.ts";
import { find, findCluster } from "./lookup.ts";

/** A node whose newest certificate was lost on the way still has the key of the one before. */
const KEPT_KEYS = 2;

/** What is kept of a certificate that was issued. */
export interface IssuedCertificate {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Digest of its public key. */
  readonly keyId: string;
  /** Public key of the root that signed it. */
  readonly issuerKey: string;
}

const UNKNOWN_TOKEN = "a valid join token is necessary to join this cluster";

/**
 * Which role a join token gives, spending one use of a token that has a number of them.
 * @throws FleetError unauthorized for a token that is unknown, rotated, expired or used up
 */
export function redeemToken(
  context: Pick<ControlContext, "tx" | "nowMs">,
  token: string,
  equal: (a: string, b: string) => boolean,
): { role: Role; labels: Readonly<Record<string, string>> } {
  const cluster = findCluster(context.tx);
  if (equal(token, cluster.RootCA.JoinTokens.Worker)) return { role: "worker", labels: {} };
  if (equal(token, cluster.RootCA.JoinTokens.Manager)) return { role: "manager", labels: {} };
  const issued = cluster.IssuedTokens?.find((candidate) => equal(token, candidate.Secret));
  if (!issued) throw new FleetError("unauthorized", UNKNOWN_TOKEN);
  if (issued.ExpiresAt && Date.parse(issued.ExpiresAt) <= context.nowMs) {
    throw new FleetError(
      "unauthorized",
      `${UNKNOWN_TOKEN}: this one expired at ${issued.ExpiresAt}`,
    );
  }
  if (issued.UsesLeft === 0) {
    throw new FleetError("unauthorized", `${UNKNOWN_TOKEN}: this one has been used up`);
  }
  if (issued.UsesLeft !== undefined) {
    const tokens = cluster.IssuedTokens!.map((candidate) =>
      candidate.ID === issued.ID ? { ...candidate, UsesLeft: issued.UsesLeft! - 1 } : candidate
    );
    context.tx.update("cluster", { ...cluster, IssuedTokens: tokens });
  }
  return { role: issued.Role, labels: issued.NodeLabels ?? {} };
}

/**
 * A request is good for one node: replayed, it would give a key a second name, and somebody else's key a
 * certificate that its owner never asked for. @throws FleetError conflict
 */
function assertKeyIsNew({ tx }: ControlContext, nodeId: string, keyId: string): void {
  for (const { ID, CertificateKeys } of tx.all("node")) {
    if (ID !== nodeId && CertificateKeys?.includes(keyId)) {
      throw new FleetError(
        "conflict",
        `this certificate request was used before, by node ${ID}; make a new key`,
      );
    }
  }
}

/**
 * Writes the row of a node that joins, before its certificate leaves the manager.
 * @throws FleetError conflict when another node has this key
 */
export function admitNode(
  context: ControlContext,
  node: {
    readonly id: string;
    readonly role: Role;
    readonly labels: Readonly<Record<string, string>>;
    readonly availability: "active" | "pause" | "drain";
    readonly certificate: IssuedCertificate;
  },
): void {
  assertKeyIsNew(context, node.id, node.certificate.keyId);
  context.tx.create("node", {
    ID: node.id,
    Spec: { Labels: node.labels, Role: node.role, Availability: node.availability },
    Status: { State: "unknown", Message: "joined, not connected yet" },
    Role: node.role,
    ...certificateFields(node.certificate, undefined),
  });
}

/** Notes a renewed certificate. @throws FleetError not-found when the node was removed meanwhile, conflict */
export function noteRenewal(
  context: ControlContext,
  nodeId: string,
  certificate: IssuedCertificate,
): void {
  const node = find(context.tx, "node", nodeId);
  assertKeyIsNew(context, nodeId, certificate.keyId);
  const { RenewCertificate: _, ...rest } = node;
  context.tx.update("node", { ...rest, ...certificateFields(certificate, node) });
}

/** The facts of a certificate as they are kept with its node. */
export function certificateFields(certificate: IssuedCertificate, before: Node | undefined) {
  return {
    CertificateBegin: timeText(certificate.notBeforeMs),
    CertificateExpiry: timeText(certificate.notAfterMs),
    CertificateIssuer: certificate.issuerKey,
    CertificateKeys: [...new Set([certificate.keyId, ...before?.CertificateKeys ?? []])]
      .slice(0, KEPT_KEYS),
  };
}
