import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { wantedIssuer } from "../../core/pki/root_rotation.ts";
import type { Cluster } from "../../model/cluster.ts";

/** The cluster without tokens and keys: `/info`'s part. */
export function clusterInfoJson(cluster: Cluster): Record<string, unknown> {
  const { CAConfig, ...spec } = cluster.Spec;
  const { SigningCACert: _, SigningCAKey: __, ...ca } = CAConfig ?? {};
  const issuer = wantedIssuer(cluster);
  return {
    ID: cluster.ID,
    Version: cluster.Version,
    CreatedAt: cluster.CreatedAt,
    UpdatedAt: cluster.UpdatedAt,
    Spec: {
      ...spec,
      Labels: spec.Labels ?? {},
      Orchestration: spec.Orchestration ?? {},
      Raft: { ElectionTick: 10, HeartbeatTick: 1, ...spec.Raft },
      Dispatcher: spec.Dispatcher ?? {},
      CAConfig: ca,
      TaskDefaults: spec.TaskDefaults ?? {},
      EncryptionConfig: { AutoLockManagers: spec.EncryptionConfig?.AutoLockManagers ?? false },
    },
    TLSInfo: {
      TrustRoot: cluster.RootCA.CACert,
      // During a change of the root that is the new one already, as in Docker.
      ...(issuer
        ? { CertIssuerSubject: issuer.Subject, CertIssuerPublicKey: issuer.PublicKey }
        : {}),
    },
    RootRotationInProgress: cluster.RootCA.Rotation !== undefined,
    DefaultAddrPool: cluster.DefaultAddrPool ?? CLUSTER_DEFAULTS.addrPool,
    SubnetSize: cluster.SubnetSize ?? CLUSTER_DEFAULTS.subnetSize,
    DataPathPort: cluster.DataPathPort ?? CLUSTER_DEFAULTS.dataPathPort,
  };
}

/** The cluster with its join tokens: `GET /swarm`. */
export function swarmJson(cluster: Cluster): Record<string, unknown> {
  return { ...clusterInfoJson(cluster), JoinTokens: cluster.RootCA.JoinTokens };
}
