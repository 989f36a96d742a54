import { bool, int, labels, list, map, obj, oneOf, opt, str, uint } from "./json.ts";
import type { Infer } from "./json.ts";
import { annotationFields, Driver, metaFields } from "./meta.ts";

export const ExternalCA = obj({
  Protocol: opt(str),
  URL: opt(str),
  Options: opt(labels),
  CACert: opt(str),
});

/** Docker's SwarmSpec: what `swarm update` changes. Periods in nanoseconds. */
export const ClusterSpec = obj({
  ...annotationFields,
  Orchestration: opt(obj({ TaskHistoryRetentionLimit: opt(int) })),
  Raft: opt(obj({
    SnapshotInterval: opt(uint),
    KeepOldSnapshots: opt(uint),
    LogEntriesForSlowFollowers: opt(uint),
    ElectionTick: opt(int),
    HeartbeatTick: opt(int),
  })),
  Dispatcher: opt(obj({ HeartbeatPeriod: opt(int) })),
  CAConfig: opt(obj({
    NodeCertExpiry: opt(int),
    ExternalCAs: opt(list(ExternalCA)),
    SigningCACert: opt(str),
    SigningCAKey: opt(str),
    ForceRotate: opt(uint),
  })),
  TaskDefaults: opt(obj({ LogDriver: opt(Driver) })),
  EncryptionConfig: opt(obj({ AutoLockManagers: opt(bool) })),
});
export type ClusterSpec = Infer<typeof ClusterSpec>;

/** A join token beyond the two of Docker: it ends by time or by use. Times RFC 3339. */
export const IssuedToken = obj({
  ID: str,
  Role: oneOf(["worker", "manager"]),
  Secret: str,
  CreatedAt: str,
  ExpiresAt: opt(str),
  UsesLeft: opt(int),
  NodeLabels: opt(labels),
});
export type IssuedToken = Infer<typeof IssuedToken>;

export const REBALANCE_POLICIES = ["never", "on-join"] as const;

/**
 * fleet's own settings. They stand beside Docker's SwarmSpec, since a stock client that changes that
 * writes it back without what it does not know.
 */
export const Policy = obj({
  /** Whether running tasks move to a node that joined or came back; never when unset. */
  Rebalance: opt(oneOf(REBALANCE_POLICIES)),
  /** Running tasks that may be moved per minute for an even spread. */
  MovesPerMinute: opt(uint),
  /** Whether services may have privileged containers; not when unset. */
  Privileged: opt(bool),
  /** Whether services may have devices of their hosts; not when unset. */
  Devices: opt(bool),
});
export type Policy = Infer<typeof Policy>;

/** A wish for an even spread that is still being carried out. */
export const RebalanceRequest = obj({
  ID: str,
  /** Only this service; all without. */
  ServiceID: opt(str),
  /** Only moves to this node; to any without. */
  NodeID: opt(str),
  CreatedAt: str,
  /** Nothing moves before. */
  NotBefore: opt(str),
});
export type RebalanceRequest = Infer<typeof RebalanceRequest>;

/** Who signs certificates, as Docker's TLSInfo names it: DER in base64. */
export const Issuer = obj({ Subject: str, PublicKey: str });
export type Issuer = Infer<typeof Issuer>;

/** A change of the root under way: certificates come from the new one, the old one is still trusted. */
export const RootRotation = obj({
  CACert: str,
  /** Absent with an external CA. */
  CAKey: opt(str),
  /** The new root's subject and key, signed by the old root. */
  CrossSignedCACert: str,
  Issuer: opt(Issuer),
  /** When it began, RFC 3339. */
  StartedAt: opt(str),
});
export type RootRotation = Infer<typeof RootRotation>;

export const RootCA = obj({
  CACert: str,
  /** Internal: absent with an external CA. */
  CAKey: opt(str),
  JoinTokens: obj({ Worker: str, Manager: str }),
  Rotation: opt(RootRotation),
  LastForcedRotation: opt(int),
  Issuer: opt(Issuer),
});
export type RootCA = Infer<typeof RootCA>;

/** A key of encrypted networks. Time RFC 3339. */
export const StoredNetworkKey = obj({
  ID: int,
  /** 32 bytes, base64. */
  Key: str,
  CreatedAt: str,
});
export type StoredNetworkKey = Infer<typeof StoredNetworkKey>;

/** Which of the keys is sent with: the last but one, which all nodes have had since the last rotation. */
export function primaryKey(keys: readonly StoredNetworkKey[]): number {
  return keys.at(-2)?.ID ?? keys.at(-1)?.ID ?? 0;
}

/** The one object of the cluster: settings, trust root, tokens. */
export const Cluster = obj({
  ...metaFields,
  Spec: ClusterSpec,
  RootCA,
  DefaultAddrPool: opt(list(str)),
  SubnetSize: opt(uint),
  DataPathPort: opt(uint),
  UnlockKey: opt(str),
  /** Removed nodes by id, with the time (RFC 3339) after which their certificates are void anyway. */
  BlockedNodes: opt(map(str)),
  IssuedTokens: opt(list(IssuedToken)),
  /** Internal: keys of encrypted networks, oldest first; the last one is not sent with yet. */
  NetworkKeys: opt(list(StoredNetworkKey)),
  /** Internal: the newest removed networks, newest last; what was theirs may linger on a node for a while. */
  RemovedNetworks: opt(list(obj({ VNI: int, Subnet: str }))),
  Policy: opt(Policy),
  Rebalances: opt(list(RebalanceRequest)),
});
export type Cluster = Infer<typeof Cluster>;

/** Docker's defaults of the cluster's settings. */
export const CLUSTER_DEFAULTS = {
  taskHistoryRetentionLimit: 5,
  snapshotInterval: 10_000,
  logEntriesForSlowFollowers: 500,
  heartbeatTick: 1,
  electionTick: 10,
  heartbeatPeriodNs: 5_000_000_000,
  nodeCertExpiryNs: 90 * 24 * 3600 * 1_000_000_000,
  subnetSize: 24,
  addrPool: ["10.0.0.0/8"],
  dataPathPort: 4789,
} as const;
