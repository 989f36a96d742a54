import type { Cluster, ClusterSpec } from "../../model/cluster.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import type { NodeSpec } from "../../model/node.ts";
import type { Transaction } from "../store/transaction.ts";
import { certificateFields } from "./admission.ts";
import type { IssuedCertificate } from "./admission.ts";
import { initialClusterSpec } from "./cluster.ts";
import { PREDEFINED_LABEL, PREDEFINED_NETWORKS } from "./networks.ts";

/** What the founder of a cluster decides. */
export interface Foundation {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly managerAddr: string;
  readonly availability: NonNullable<NodeSpec["Availability"]>;
  readonly spec: ClusterSpec | undefined;
  readonly rootCa: Cluster["RootCA"];
  readonly certificate: IssuedCertificate;
  readonly unlockKey: string | undefined;
  readonly addrPool: readonly string[] | undefined;
  readonly subnetSize: number | undefined;
  readonly dataPathPort: number | undefined;
}

/** Writes the first objects: the cluster, its first manager, the engine's own networks. */
export function bootstrap(tx: Transaction, newId: () => string, foundation: Foundation): void {
  tx.create("cluster", {
    ID: foundation.clusterId,
    Spec: initialClusterSpec(foundation.spec),
    RootCA: foundation.rootCa,
    DefaultAddrPool: foundation.addrPool?.length
      ? [...foundation.addrPool]
      : [...CLUSTER_DEFAULTS.addrPool],
    SubnetSize: foundation.subnetSize ?? CLUSTER_DEFAULTS.subnetSize,
    DataPathPort: foundation.dataPathPort ?? CLUSTER_DEFAULTS.dataPathPort,
    ...(foundation.unlockKey === undefined ? {} : { UnlockKey: foundation.unlockKey }),
  });
  tx.create("node", {
    ID: foundation.nodeId,
    Spec: { Labels: {}, Role: "manager", Availability: foundation.availability },
    Status: { State: "unknown", Message: "not connected yet" },
    Role: "manager",
    ManagerAddr: foundation.managerAddr,
    ...certificateFields(foundation.certificate, undefined),
  });
  for (const name of PREDEFINED_NETWORKS) {
    tx.create("network", {
      ID: newId(),
      Spec: {
        Name: name,
        Labels: { [PREDEFINED_LABEL]: "true" },
        Driver: { Name: name === "none" ? "null" : name },
        Scope: "local",
      },
    });
  }
}
