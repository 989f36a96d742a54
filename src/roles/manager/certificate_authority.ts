import { FleetError } from "../../base/errors.ts";
import { admitNode, noteRenewal, redeemToken } from "../../core/control/admission.ts";
import type { ControlContext } from "../../core/control/context.ts";
import { findCluster } from "../../core/control/lookup.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import type { Role } from "../../model/node.ts";
import { NS_PER_MS } from "../../base/duration.ts";
import type { Trust } from "../node/ports.ts";

/** What a joining or renewing node sends. `token` is absent when its certificate speaks for it. */
export interface IssueRequest {
  readonly csr: string;
  readonly token?: string;
  readonly availability?: string;
}

export interface IssueReply {
  readonly nodeId: string;
  readonly role: Role;
  readonly clusterId: string;
  readonly certPem: string;
  readonly caPem: string;
}

/** Largest CSR that is looked at; a P-256 one has about 500 bytes. */
const MAX_CSR_LENGTH = 8_192;
const AVAILABILITIES = ["active", "pause", "drain"] as const;

/** Checks the shape of an issue request. @throws FleetError invalid */
export function decodeIssueRequest(body: unknown): IssueRequest {
  const { csr, token, availability } = (body ?? {}) as Record<string, unknown>;
  if (typeof csr !== "string" || csr.length === 0 || csr.length > MAX_CSR_LENGTH) {
    throw new FleetError("invalid", "csr: expected a PEM certificate request");
  }
  if (token !== undefined && (typeof token !== "string" || token.length > 256)) {
    throw new FleetError("invalid", "token: expected a join token");
  }
  if (availability !== undefined && !AVAILABILITIES.includes(availability as "active")) {
    throw new FleetError("invalid", `invalid Availability: "${availability}"`);
  }
  return {
    csr,
    ...(token === undefined ? {} : { token }),
    ...(availability === undefined ? {} : { availability: availability as string }),
  };
}

/** Lets a new node in: redeems its token, signs its key, writes its row; all in one change. */
export function admit(context: ControlContext, trust: Trust, request: IssueRequest): IssueReply {
  const { role, labels } = redeemToken(context, request.token ?? "", trust.equal);
  const nodeId = context.newId();
  const issued = sign(context, trust, { csrPem: request.csr, nodeId, role });
  admitNode(context, {
    id: nodeId,
    role,
    labels,
    availability: (request.availability ?? "active") as "active",
    certificateExpiryMs: issued.notAfterMs,
  });
  return issued.reply;
}

/** A fresh certificate for a known node, with the role that it has by now. */
export function renew(
  context: ControlContext,
  trust: Trust,
  nodeId: string,
  csr: string,
): IssueReply {
  const node = context.tx.get("node", nodeId);
  if (!node) {
    throw new FleetError(
      "forbidden",
      `node ${nodeId} is not a member of this cluster any more; run fleet leave --force and join again`,
    );
  }
  const issued = sign(context, trust, { csrPem: csr, nodeId, role: node.Role });
  noteRenewal(context, nodeId, issued.notAfterMs);
  return issued.reply;
}

function sign(
  context: ControlContext,
  trust: Trust,
  subject: { csrPem: string; nodeId: string; role: Role },
): { reply: IssueReply; notAfterMs: number } {
  const cluster = findCluster(context.tx);
  const caKeyPem = cluster.RootCA.CAKey;
  if (!caKeyPem) {
    throw new FleetError(
      "unavailable",
      "this cluster's root key is kept by an external CA, which cannot be asked yet",
    );
  }
  const { certPem, notAfterMs } = trust.issue({
    ...subject,
    caCertPem: cluster.RootCA.CACert,
    caKeyPem,
    clusterId: cluster.ID,
    nowMs: context.nowMs,
    validityMs: (cluster.Spec.CAConfig?.NodeCertExpiry ?? CLUSTER_DEFAULTS.nodeCertExpiryNs) /
      NS_PER_MS,
  });
  return {
    notAfterMs,
    reply: {
      nodeId: subject.nodeId,
      role: subject.role,
      clusterId: cluster.ID,
      certPem,
      caPem: cluster.RootCA.CACert,
    },
  };
}
