import { FleetError } from "../../base/errors.ts";
import { admitNode, noteRenewal, redeemToken } from "../../core/control/admission.ts";
import type { IssuedCertificate } from "../../core/control/admission.ts";
import type { ControlContext } from "../../core/control/context.ts";
import { findCluster } from "../../core/control/lookup.ts";
import { nodeNames } from "../../core/pki/node_certificate.ts";
import { externalCasFor, signingRoot, trustBundle } from "../../core/pki/roots.ts";
import { Transaction } from "../../core/store/transaction.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Role } from "../../model/node.ts";
import { NS_PER_MS } from "../../base/duration.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { Trust } from "../node/ports.ts";
import { trustFor } from "./external_ca.ts";
import type { ExternalCa } from "./external_ca.ts";

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
  /** Every root that the node shall trust from now on. */
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

/** The leader, as the signing of certificates needs it. */
export interface Issuer {
  readonly store: View;
  readonly external: ExternalCa;
  write<T>(run: (context: ControlContext) => T): Promise<T>;
}

/** Whose key is to be signed. */
interface Subject {
  readonly nodeId: string;
  readonly role: Role;
}

/** A certificate for `subject` by the root that signs in this very state of the cluster. */
type Sign = (context: ControlContext, subject: Subject) => Signed;

interface Signed {
  readonly certPem: string;
  readonly facts: IssuedCertificate;
}

/**
 * Signs the key of a request: a new node's when it comes with a token, else that of the known `nodeId`.
 * What is issued and what the cluster notes of it is one change.
 * @throws FleetError unauthorized (token), forbidden (no member), invalid (request), unavailable
 */
export async function issueCertificate(
  leader: Issuer,
  trust: Trust,
  request: IssueRequest,
  nodeId: string | undefined,
): Promise<IssueReply> {
  const cluster = findCluster(leader.store);
  const root = signingRoot(cluster.RootCA);
  const { ExternalCAs } = cluster.Spec.CAConfig ?? {};
  const cas = externalCasFor(ExternalCAs, root.certPem, cluster.RootCA.CACert);
  if (cas.length === 0) {
    return await leader.write((context) =>
      nodeId === undefined
        ? admit(context, trust, request, context.newId(), localSigner(trust, request.csr))
        : renew(context, nodeId, localSigner(trust, request.csr))
    );
  }
  // Somebody else signs: that takes time, and cannot be inside of a change. So it is decided twice.
  const subject = await leader.write((context) =>
    nodeId === undefined
      ? { nodeId: context.newId(), role: wouldJoinAs(context, trust, request) }
      : { nodeId, role: member(context, nodeId).Role }
  );
  const names = nodeNames({ ...subject, clusterId: cluster.ID });
  const keyId = trust.requestKeyId(request.csr);
  const answer = await leader.external.sign(cas, trustFor(cluster, cas), {
    csrPem: request.csr,
    hosts: names.dnsNames,
    subject: names,
  });
  const signed = (context: ControlContext, now: Subject): Signed => {
    const current = signingRoot(findCluster(context.tx).RootCA);
    if (current.certPem !== root.certPem || now.role !== subject.role) {
      throw new FleetError("unavailable", "the cluster changed while the external CA signed");
    }
    const facts = trust.verify(answer, root.certPem, context.nowMs);
    if (
      facts.keyId !== keyId || facts.nodeId !== now.nodeId || facts.role !== now.role ||
      facts.clusterId !== cluster.ID
    ) {
      throw new FleetError("unavailable", "the external CA signed something else than was asked");
    }
    return {
      certPem: answer + (root.chainPem ?? ""),
      facts: {
        notBeforeMs: facts.notBeforeMs,
        notAfterMs: facts.notAfterMs,
        keyId,
        issuerKey: facts.issuerKeyDerBase64,
      },
    };
  };
  return await leader.write((context) =>
    nodeId === undefined
      ? admit(context, trust, request, subject.nodeId, signed)
      : renew(context, nodeId, signed)
  );
}

function localSigner(trust: Trust, csrPem: string): Sign {
  return (context, subject) => {
    const cluster = findCluster(context.tx);
    return signLocally(cluster, trust, { ...subject, csrPem, nowMs: context.nowMs });
  };
}

/** Signs with the root key that the cluster keeps. @throws FleetError unavailable when it keeps none */
export function signLocally(
  cluster: Cluster,
  trust: Trust,
  options: Subject & { readonly csrPem: string; readonly nowMs: number },
): Signed {
  const root = signingRoot(cluster.RootCA);
  if (root.keyPem === undefined) {
    throw new FleetError(
      "unavailable",
      "this cluster's root key is kept by an external CA, and none is set: fleet update --external-ca protocol=cfssl,url=…,cacert=FILE",
    );
  }
  const issued = trust.issue({
    ...options,
    caCertPem: root.certPem,
    caKeyPem: root.keyPem,
    ...(root.chainPem === undefined ? {} : { chainPem: root.chainPem }),
    clusterId: cluster.ID,
    validityMs: (cluster.Spec.CAConfig?.NodeCertExpiry || CLUSTER_DEFAULTS.nodeCertExpiryNs) /
      NS_PER_MS,
  });
  return {
    certPem: issued.certPem,
    facts: {
      notBeforeMs: issued.notBeforeMs,
      notAfterMs: issued.notAfterMs,
      keyId: issued.keyId,
      issuerKey: issued.issuerKeyDerBase64,
    },
  };
}

/** The role that the token gives, without spending it. */
function wouldJoinAs(context: ControlContext, trust: Trust, request: IssueRequest): Role {
  const tx = new Transaction(context.tx, context.nowMs);
  return redeemToken({ tx, nowMs: context.nowMs }, request.token ?? "", trust.equal).role;
}

/** Lets a new node in: redeems its token, signs its key, writes its row; all in one change. */
function admit(
  context: ControlContext,
  trust: Trust,
  request: IssueRequest,
  nodeId: string,
  sign: Sign,
): IssueReply {
  const { role, labels } = redeemToken(context, request.token ?? "", trust.equal);
  const signed = sign(context, { nodeId, role });
  admitNode(context, {
    id: nodeId,
    role,
    labels,
    availability: (request.availability ?? "active") as "active",
    certificate: signed.facts,
  });
  return reply(context, { nodeId, role }, signed);
}

/** A fresh certificate for a known node, with the role that it has by now. */
function renew(context: ControlContext, nodeId: string, sign: Sign): IssueReply {
  const { Role: role } = member(context, nodeId);
  const signed = sign(context, { nodeId, role });
  noteRenewal(context, nodeId, signed.facts);
  return reply(context, { nodeId, role }, signed);
}

function member(context: ControlContext, nodeId: string) {
  const node = context.tx.get("node", nodeId);
  if (node) return node;
  throw new FleetError(
    "forbidden",
    `node ${nodeId} is not a member of this cluster any more; run fleet leave --force and join again`,
  );
}

function reply(context: ControlContext, subject: Subject, { certPem }: Signed): IssueReply {
  const cluster = findCluster(context.tx);
  return { ...subject, clusterId: cluster.ID, certPem, caPem: trustBundle(cluster.RootCA) };
}

/**
 * Signs a manager's own key with the root's, from its own copy of the store and without asking anybody: when
 * certificates have ended there is nobody left to ask. Who has the root's key gains nothing by it.
 * Undefined where that key is not, or the node is no manager.
 */
export function signOwn(
  view: View,
  trust: Trust,
  options: { readonly nodeId: string; readonly csrPem: string; readonly nowMs: number },
): IssueReply | undefined {
  const cluster = clusterOf(view);
  const { nodeId } = options;
  const isManager = view.get("node", nodeId)?.Role === "manager";
  if (!cluster || !isManager || signingRoot(cluster.RootCA).keyPem === undefined) return undefined;
  const { certPem } = signLocally(cluster, trust, { ...options, role: "manager" });
  const caPem = trustBundle(cluster.RootCA);
  return { nodeId, role: "manager", clusterId: cluster.ID, certPem, caPem };
}
