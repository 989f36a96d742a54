import type { NodeDescription } from "./node.ts";
import type { Task, TaskStatus } from "./task.ts";

/**
 * Messages of the session between an agent and the leader's dispatcher: one stream, JSON, one message
 * each. The stream's end is the session's end.
 */
export type FromAgent =
  /** First message; repeated when the description changed. */
  | { readonly type: "hello"; readonly description: NodeDescription }
  | { readonly type: "heartbeat" }
  /** At most {@link MAX_STATUS_BATCH} at once. */
  | { readonly type: "status"; readonly updates: readonly TaskStatusUpdate[] }
  /** The node's kernel balances as the assignments up to `resultsIn: sequence` said. */
  | { readonly type: "applied"; readonly sequence: number }
  /** The agent ends, to begin again with another version; its containers stay. */
  | { readonly type: "restarting" };

export interface TaskStatusUpdate {
  readonly taskId: string;
  readonly status: TaskStatus;
}

export type FromDispatcher =
  | {
    readonly type: "session";
    readonly sessionId: string;
    /** The agent beats at least this often; the session ends after three missed ones. */
    readonly heartbeatPeriodMs: number;
    /** All managers, for the next connection. */
    readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
    readonly role: "worker" | "manager";
    /** Renew the certificate at once (role change, root rotation). */
    readonly renewCertificate: boolean;
    /** The roots to trust from now on, PEM. */
    readonly trustRoot?: string;
  }
  /** Acknowledges status messages up to and including the nth of this session. */
  | { readonly type: "ack"; readonly count: number }
  | { readonly type: "assignments"; readonly assignments: Assignments }
  /** No node sends new connections to this task of the agent's any more: it may be stopped. */
  | { readonly type: "drained"; readonly taskId: string }
  /** A manager asks something of a task's container or the node; the answer comes on a stream of its own. */
  | {
    readonly type: "question";
    readonly requestId: string;
    /** Empty for a question about the node. */
    readonly taskId: string;
    /** `logs?…`, `json`, `top`, `stats?…`; of the node `about`, `health`, `reach?…`, `upgrade?…`. */
    readonly path: string;
    readonly exchange?: {
      readonly method: string;
      readonly headers: readonly (readonly [string, string])[];
    };
  };

/**
 * What the node shall do. The first message of a session is `complete`; later ones are differences and
 * apply only to the state that `appliesTo` names, else the agent opens the session anew.
 */
export interface Assignments {
  readonly kind: "complete" | "incremental";
  readonly appliesTo: number;
  readonly resultsIn: number;
  readonly update: readonly Assignment[];
  /** What is no longer assigned. */
  readonly remove: readonly { readonly kind: Assignment["kind"]; readonly id: string }[];
}

export type Assignment =
  | { readonly kind: "task"; readonly id: string; readonly task: Task }
  | FileAssignment & { readonly kind: "secret" }
  | FileAssignment & { readonly kind: "config" }
  | { readonly kind: "network"; readonly id: string; readonly network: NetworkAssignment }
  | { readonly kind: "endpoint"; readonly id: string; readonly endpoint: EndpointAssignment }
  | { readonly kind: "service"; readonly id: string; readonly service: ServiceAssignment };

/** A secret or config that tasks on the node reference. */
export interface FileAssignment {
  readonly id: string;
  readonly name: string;
  /** Base64. */
  readonly data: string;
  /** The data is a template, expanded for each task. */
  readonly template?: true;
}

/** An overlay network that the node has to have, since one of its tasks is on it. */
export interface NetworkAssignment {
  readonly name: string;
  readonly vni: number;
  /** UDP port of the data path. */
  readonly port: number;
  readonly subnet: string;
  /** This node's own address there; absent until the managers gave it one. */
  readonly gateway?: string;
  readonly internal: boolean;
  /** The network of the routing mesh, which every node has while a service publishes ports. */
  readonly ingress?: true;
  /** As asked for by the user; at most what the data path carries is used. */
  readonly mtu?: number;
  /** With `--opt encrypted`: what goes between nodes is encrypted. */
  readonly encryption?: NetworkEncryption;
  /** Every other node with tasks on the network. */
  readonly peers: readonly NetworkPeer[];
}

export interface NetworkEncryption {
  /** Everything that comes in with one of these is understood. */
  readonly keys: readonly NetworkKey[];
  /** Id of the key that is sent with. */
  readonly primary: number;
}

export interface NetworkKey {
  readonly id: number;
  /** 32 bytes, base64. */
  readonly key: string;
}

export interface NetworkPeer {
  readonly nodeId: string;
  /** Where its frames go: the address of its data path. */
  readonly addr: string;
  readonly gateway: string;
}

/** A task with addresses on networks that the node has, wherever it runs. Its id is the task's. */
export interface EndpointAssignment {
  readonly nodeId: string;
  readonly serviceId?: string;
  readonly service?: string;
  /** Name of a container outside services: all its places on the node are one container's. */
  readonly container?: string;
  readonly names: readonly string[];
  /** Without the length of the subnet. */
  readonly addresses: readonly { readonly networkId: string; readonly address: string }[];
  /** Runs, is healthy, and shall not stop: only then others are sent to it. */
  readonly serving: boolean;
  /** Still runs, but shall stop: it keeps the connections that it has. */
  readonly draining?: true;
  readonly nameservers?: readonly string[];
}

/** A service on networks that the node has. */
export interface ServiceAssignment {
  readonly name: string;
  readonly networks: readonly {
    readonly networkId: string;
    readonly aliases: readonly string[];
    /** Absent with endpoint mode dnsrr. */
    readonly vip?: string;
  }[];
  /** Ports that every node answers on. */
  readonly ports?: readonly PublishedPort[];
  /** When the service was created, where it has ports: should two have one, the older's it is. */
  readonly since?: string;
}

export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly published: number;
  readonly target: number;
  /** How tasks learn the client's own address; see `port_source.ts`. Masqueraded when absent. */
  readonly source?: "node-local" | "preserve" | "proxy";
}

/** Status updates that travel together. */
export const MAX_STATUS_BATCH = 1_000;
