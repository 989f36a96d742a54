import { timeMs } from "../../model/meta.ts";
import { subnetOf, withoutLength } from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import { nodeName } from "../../model/node.ts";
import type { Node } from "../../model/node.ts";
import type { Objects } from "../../model/objects.ts";
import { restartWait } from "../../model/restart_wait.ts";
import { modeOf, replicasOf } from "../../model/service.ts";
import type { ModeName, Service } from "../../model/service.ts";
import type { Task } from "../../model/task.ts";

/**
 * What the dashboard holds of the cluster: one small row per object, and never a secret's or a config's
 * value. Times are milliseconds since 1970, 0 for none.
 */
export interface NodeRow {
  readonly id: string;
  readonly v: number;
  readonly name: string;
  readonly addr: string;
  readonly role: "manager" | "worker";
  readonly availability: string;
  readonly state: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
  /** In 10⁻⁹ of a processor. */
  readonly cpus: number;
  readonly memory: number;
  readonly os: string;
  readonly engine: string;
  readonly engineLabels: Readonly<Record<string, string>>;
  /** End of the certificate. */
  readonly certificate: number;
  /** Why the node can have no overlay network. */
  readonly overlayProblem: string;
  /** Who balances published ports there: ipvs, nftables, or empty. */
  readonly mesh: string;
  /** What is wrong with its networks. */
  readonly problems: readonly string[];
  readonly created: number;
}

export interface ServiceRow {
  readonly id: string;
  readonly v: number;
  readonly name: string;
  readonly stack: string;
  readonly mode: ModeName;
  /** Replicas asked for; 0 where the number of nodes decides. */
  readonly replicas: number;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly networks: readonly string[];
  readonly secrets: readonly string[];
  readonly configs: readonly string[];
  readonly update: string;
  readonly updateMessage: string;
  readonly updateStarted: number;
  /** Tasks of this version count as updated. */
  readonly spec: number;
  readonly canRollBack: boolean;
  readonly cpus: number;
  readonly memory: number;
  readonly created: number;
  readonly updated: number;
}

export interface TaskRow {
  readonly id: string;
  readonly v: number;
  readonly service: string;
  readonly serviceName: string;
  readonly slot: number;
  readonly node: string;
  readonly state: string;
  readonly desired: string;
  /** The reason, in the words that `service ps` has. */
  readonly error: string;
  readonly message: string;
  readonly since: number;
  readonly created: number;
  readonly image: string;
  readonly spec: number;
  readonly container: string;
  readonly exit: number | null;
  readonly cpus: number;
  readonly memory: number;
  readonly addresses: readonly { readonly network: string; readonly address: string }[];
}

export interface NetworkRow {
  readonly id: string;
  readonly v: number;
  readonly name: string;
  readonly driver: string;
  readonly subnet: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly ingress: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Nodes that have a part of it. */
  readonly nodes: readonly string[];
  readonly created: number;
}

/** A secret or a config: its name, never its value. */
export interface FileRow {
  readonly id: string;
  readonly v: number;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly created: number;
  readonly updated: number;
}

export interface Rows {
  node: NodeRow;
  service: ServiceRow;
  task: TaskRow;
  network: NetworkRow;
  secret: FileRow;
  config: FileRow;
}
export type RowTable = keyof Rows;
export const ROW_TABLES: readonly RowTable[] = [
  "node",
  "service",
  "task",
  "network",
  "secret",
  "config",
];

/** The managers as one line and by name. */
export interface ClusterRow {
  readonly id: string;
  readonly self: string;
  readonly leader: string;
  /** What the cluster survives, as a sentence. */
  readonly tolerance: string;
  readonly quorum: boolean;
  /** Nodes whose connection ended a moment ago. */
  readonly silent: readonly string[];
  readonly managers: readonly {
    readonly node: string;
    readonly reachable: boolean;
    readonly voter: boolean;
  }[];
}

/** Rows that changed, and ids of those that are gone. */
export interface Batch {
  readonly put: { readonly [T in RowTable]?: readonly Rows[T][] };
  readonly gone: { readonly [T in RowTable]?: readonly string[] };
  readonly cluster?: ClusterRow;
}

export const STACK_LABEL = "com.docker.stack.namespace";
/** Longer sentences of engines are cut: a row is no place for a log. */
const MAX_SENTENCE = 1_000;

/** The row of an object. */
export function rowOf<T extends RowTable>(table: T, object: Objects[T]): Rows[T] {
  return ROW[table](object as never) as Rows[T];
}

const ROW: { [T in RowTable]: (object: Objects[T]) => Rows[T] } = {
  node: nodeRow,
  service: serviceRow,
  task: taskRow,
  network: networkRow,
  secret: fileRow,
  config: fileRow,
};

function nodeRow(node: Node): NodeRow {
  const { Description: description } = node;
  return {
    id: node.ID,
    v: node.Version.Index,
    name: nodeName(node),
    addr: node.Status.Addr ?? "",
    role: node.Role,
    availability: node.Spec.Availability ?? "active",
    state: node.Status.State,
    message: cut(node.Status.Message),
    labels: node.Spec.Labels ?? {},
    cpus: description?.Resources?.NanoCPUs ?? 0,
    memory: description?.Resources?.MemoryBytes ?? 0,
    os: [description?.Platform?.OS, description?.Platform?.Architecture].filter(Boolean).join("/"),
    engine: description?.Engine?.EngineVersion ?? "",
    engineLabels: description?.Engine?.Labels ?? {},
    certificate: timeMs(node.CertificateExpiry),
    overlayProblem: cut(description?.Overlay?.Problem),
    mesh: description?.Overlay?.Mesh ?? "",
    problems: (description?.Overlay?.Problems ?? []).map(cut),
    created: timeMs(node.CreatedAt),
  };
}

function serviceRow(service: Service): ServiceRow {
  const { Spec: spec, UpdateStatus: update } = service;
  const template = spec.TaskTemplate;
  const labels = spec.Labels ?? {};
  return {
    id: service.ID,
    v: service.Version.Index,
    name: spec.Name ?? service.ID,
    stack: labels[STACK_LABEL] ?? "",
    mode: modeOf(spec),
    replicas: modeOf(spec) === "replicated"
      ? replicasOf(spec)
      : spec.Mode?.ReplicatedJob?.TotalCompletions ?? 0,
    image: imageName(template?.ContainerSpec?.Image),
    labels,
    ports: (service.Endpoint?.Ports ?? []).map(({ Protocol, PublishedPort, TargetPort, ...port }) =>
      `${PublishedPort ?? "?"}:${TargetPort}/${Protocol ?? "tcp"}${
        port.PublishMode === "host" ? " on its node" : ""
      }`
    ),
    networks: (template?.Networks ?? []).map(({ Target }) => Target ?? ""),
    secrets: (template?.ContainerSpec?.Secrets ?? []).map(({ SecretID }) => SecretID ?? ""),
    configs: (template?.ContainerSpec?.Configs ?? []).map(({ ConfigID }) => ConfigID ?? ""),
    update: update?.State ?? "",
    updateMessage: cut(update?.Message),
    updateStarted: timeMs(update?.StartedAt),
    spec: service.SpecVersion?.Index ?? 0,
    canRollBack: service.PreviousSpec !== undefined,
    cpus: template?.Resources?.Reservations?.NanoCPUs ?? 0,
    memory: template?.Resources?.Reservations?.MemoryBytes ?? 0,
    created: timeMs(service.CreatedAt),
    updated: timeMs(service.UpdatedAt),
  };
}

function taskRow(task: Task): TaskRow {
  const { Status: status } = task;
  return {
    id: task.ID,
    v: task.Version.Index,
    service: task.ServiceID ?? "",
    serviceName: task.ServiceAnnotations?.Name ?? task.Name ?? "",
    slot: task.Slot ?? 0,
    node: task.NodeID ?? "",
    state: status.State,
    desired: task.DesiredState,
    error: cut(status.Err),
    message: cut(restartWait(task) ?? status.Message),
    since: timeMs(status.Timestamp ?? task.UpdatedAt),
    created: timeMs(task.CreatedAt),
    image: imageName(task.Spec.ContainerSpec?.Image),
    spec: task.SpecVersion?.Index ?? 0,
    container: status.ContainerStatus?.ContainerID?.slice(0, 12) ?? "",
    exit: status.ContainerStatus?.ExitCode ?? null,
    cpus: task.Spec.Resources?.Reservations?.NanoCPUs ?? 0,
    memory: task.Spec.Resources?.Reservations?.MemoryBytes ?? 0,
    addresses: (task.NetworksAttachments ?? []).flatMap(({ NetworkID, Addresses }) =>
      (Addresses ?? []).map((address) => ({ network: NetworkID, address: withoutLength(address) }))
    ),
  };
}

function networkRow(network: Network): NetworkRow {
  const { Spec: spec } = network;
  return {
    id: network.ID,
    v: network.Version.Index,
    name: spec.Name ?? network.ID,
    driver: spec.Driver?.Name || "overlay",
    subnet: subnetOf(network),
    internal: spec.Internal ?? false,
    attachable: spec.Attachable ?? false,
    ingress: spec.Ingress ?? false,
    labels: spec.Labels ?? {},
    nodes: Object.keys(network.Gateways ?? {}).sort(),
    created: timeMs(network.CreatedAt),
  };
}

function fileRow(object: Objects["secret"] | Objects["config"]): FileRow {
  return {
    id: object.ID,
    v: object.Version.Index,
    name: object.Spec.Name ?? object.ID,
    labels: object.Spec.Labels ?? {},
    created: timeMs(object.CreatedAt),
    updated: timeMs(object.UpdatedAt),
  };
}

function cut(sentence: string | undefined): string {
  return (sentence ?? "").slice(0, MAX_SENTENCE);
}

/** Without the digest, which nobody reads. */
function imageName(image: string | undefined): string {
  return (image ?? "").replace(/@sha256:[0-9a-f]+$/, "");
}
