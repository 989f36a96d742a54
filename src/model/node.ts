import { bool, int, labels, list, obj, oneOf, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, metaFields } from "./meta.ts";
import { Platform, Resources } from "./service_spec.ts";

export const Role = oneOf(["worker", "manager"]);
export type Role = Infer<typeof Role>;
export const AVAILABILITIES = ["active", "pause", "drain"] as const;

export const NodeSpec = obj({
  ...annotationFields,
  Role: opt(Role),
  Availability: opt(oneOf(AVAILABILITIES)),
});
export type NodeSpec = Infer<typeof NodeSpec>;

export const TLSInfo = obj({
  TrustRoot: opt(str),
  CertIssuerSubject: opt(str),
  CertIssuerPublicKey: opt(str),
});
export type TLSInfo = Infer<typeof TLSInfo>;

/** A node's part in overlay networks, as it found it out itself. */
export const OverlaySupport = obj({
  /** Where other nodes send its containers' frames (VXLAN). */
  Addr: opt(str),
  /** Why the node can have no overlay network; absent when it can. */
  Problem: opt(str),
  /** Who balances published ports there. */
  Mesh: opt(oneOf(["ipvs", "nftables"])),
  /** What is wrong with its networks and published ports, in sentences. */
  Problems: opt(list(str)),
  /** Why the node cannot encrypt what it sends to others; absent when it can. */
  EncryptionProblem: opt(str),
  /** Networks that the node is on by itself, as CIDR; containers must not have addresses of those. */
  Subnets: opt(list(str)),
  /** Networks that the node reaches through another router, as CIDR, without the default route. */
  Routes: opt(list(str)),
});
export type OverlaySupport = Infer<typeof OverlaySupport>;

/** What the node says of itself. */
export const NodeDescription = obj({
  Hostname: opt(str),
  Platform: opt(Platform),
  Resources: opt(Resources),
  Engine: opt(obj({
    EngineVersion: opt(str),
    Labels: opt(labels),
    Plugins: opt(list(obj({ Type: opt(str), Name: opt(str) }))),
  })),
  TLSInfo: opt(TLSInfo),
  /** Internal: what the node can do for overlay networks. */
  Overlay: opt(OverlaySupport),
});
export type NodeDescription = Infer<typeof NodeDescription>;

export const NodeState = oneOf(["unknown", "down", "ready", "disconnected"]);
export type NodeState = Infer<typeof NodeState>;

export const NodeStatus = obj({ State: NodeState, Message: opt(str), Addr: opt(str) });
export type NodeStatus = Infer<typeof NodeStatus>;

export const Node = obj({
  ...metaFields,
  Spec: NodeSpec,
  Description: opt(NodeDescription),
  Status: NodeStatus,
  /** Internal: observed role; differs from the spec's while a promotion is under way. */
  Role,
  /** Internal: where a manager's raft listens (`host:port`). */
  ManagerAddr: opt(str),
  /** Internal: begin of the certificate's life; unknown of those that older versions issued. */
  CertificateBegin: opt(str),
  /** Internal: end of the certificate's life. */
  CertificateExpiry: opt(str),
  /** Internal: public key (DER, base64) of the root that signed its newest certificate. */
  CertificateIssuer: opt(str),
  /** Internal: digests of the public keys of its last certificates, newest first. */
  CertificateKeys: opt(list(str)),
  /** Internal: when the state became down; the 24 hours until its tasks are orphaned start here. */
  DownSince: opt(str),
  /** Internal: set while the certificate shall be renewed at once. */
  RenewCertificate: opt(bool),
  /** Internal: count of sessions, so that a late message of an old one is recognised. */
  SessionCount: opt(int),
});
export type Node = Infer<typeof Node>;

/**
 * Whether a node has been here and its next session is yet to come, as for all nodes after a change of leader: it
 * takes no tasks now, but it is not away before the leader has given it up.
 */
export function isAwaited({ Status, Description }: Node): boolean {
  return Status.State === "unknown" && Description !== undefined;
}

/** The name people use: the spec's, else the host name, else the id. */
export function nodeName(node: Node): string {
  return node.Spec.Name || node.Description?.Hostname || node.ID;
}
