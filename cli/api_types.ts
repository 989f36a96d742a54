import type { ClusterSpec } from "../src/model/cluster.ts";
import type { Config } from "../src/model/config.ts";
import type { Node, TLSInfo } from "../src/model/node.ts";
import type { Secret } from "../src/model/secret.ts";
import type { Service } from "../src/model/service.ts";
import type { Task } from "../src/model/task.ts";

/** The objects as the API delivers them: the model's, and what the API adds. Types only. */

export interface ServiceStatus {
  readonly RunningTasks?: number;
  readonly DesiredTasks?: number;
  readonly CompletedTasks?: number;
}
export type ApiService = Service & { readonly ServiceStatus?: ServiceStatus };

export interface ManagerStatus {
  readonly Leader?: boolean;
  readonly Reachability?: string;
  readonly Addr?: string;
}
export type ApiNode = Omit<Node, "Role"> & {
  readonly ManagerStatus?: ManagerStatus;
  /** Whole days; negative once the certificate has ended. */
  readonly CertificateDaysLeft?: number;
};

export type ApiTask = Task;
export type ApiSecret = Secret;
export type ApiConfig = Config;

export interface ApiNetwork {
  readonly Name: string;
  readonly Id: string;
  readonly Created?: string;
  readonly Scope?: string;
  readonly Driver?: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

export interface ClusterInfo {
  readonly ID?: string;
  readonly Version?: { readonly Index?: number };
  readonly Spec?: ClusterSpec;
  readonly TLSInfo?: TLSInfo;
  readonly RootRotationInProgress?: boolean;
  readonly DefaultAddrPool?: readonly string[] | null;
  readonly SubnetSize?: number;
  readonly DataPathPort?: number;
}
export interface ApiSwarm extends ClusterInfo {
  readonly Version: { readonly Index: number };
  readonly Spec: ClusterSpec;
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}

/** The `Swarm` stanza of GET /info. */
export interface SwarmInfo {
  readonly NodeID?: string;
  readonly NodeAddr?: string;
  readonly LocalNodeState?: string;
  readonly ControlAvailable?: boolean;
  readonly Error?: string;
  readonly RemoteManagers?: readonly { readonly NodeID: string; readonly Addr: string }[] | null;
  readonly Nodes?: number;
  readonly Managers?: number;
  readonly Cluster?: ClusterInfo | null;
  readonly Warnings?: readonly string[] | null;
}
export interface ApiInfo {
  readonly Swarm?: SwarmInfo;
  readonly Name?: string;
  readonly ServerVersion?: string;
}

/** GET /fleet/info: what Docker's API has no word for. */
export interface FleetInfo {
  /** One sentence: how many managers may fail. */
  readonly Tolerance?: string;
  /** Overlay networks and the mesh on this node. */
  readonly Networks?: {
    /** `ipvs` or `nftables`. */
    readonly Mesh?: string;
    readonly Drift?: number;
    readonly Problems?: Readonly<Record<string, string>>;
  };
  /** End of this node's certificate, RFC 3339. */
  readonly CertificateExpiry?: string;
  readonly CertificateDaysLeft?: number;
  readonly Version?: string;
  readonly Commit?: string;
  readonly BuildKind?: string;
  readonly DenoVersion?: string;
}
