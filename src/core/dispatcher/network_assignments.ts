import { FleetError } from "../../base/errors.ts";
import { CLUSTER_DEFAULTS, primaryKey } from "../../model/cluster.ts";
import type { StoredNetworkKey } from "../../model/cluster.ts";
import {
  encryptedPort,
  isEncrypted,
  isOverlay,
  OPTION,
  subnetOf,
  withoutLength,
} from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import type {
  Assignment,
  EndpointAssignment,
  NetworkAssignment,
  NetworkEncryption,
  PublishedPort,
  ServiceAssignment,
} from "../../model/session.ts";
import { sourceOf } from "../../model/port_source.ts";
import { ingressPorts } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import { taskName } from "../../model/task.ts";
import { expand } from "../../model/task_template.ts";
import type { Task } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";

/** Tasks with addresses, by network; made once for a state of the store and shared by all sessions. */
interface OnNetworks {
  readonly index: number;
  readonly tasks: ReadonlyMap<string, readonly Task[]>;
}

const cache = new WeakMap<View, OnNetworks>();
/** A task's object never changes, so what is told of it only changes with it or with its node. */
const endpoints = new WeakMap<Task, Map<Phase, Assignment>>();
type Phase = "serving" | "draining" | "idle";

/**
 * Adds the overlay networks that a node has to have, and on each of them everybody, wherever they run:
 * what the node needs for its forwarding entries, its names and its balancer.
 */
export function addNetworks(
  set: Map<string, Assignment>,
  view: View,
  nodeId: string,
  ownTasks: readonly Task[],
): void {
  const needed = new Set<string>();
  for (const task of ownTasks) {
    if (!hasContainer(task)) continue;
    for (const { NetworkID } of task.NetworksAttachments ?? []) needed.add(NetworkID);
  }
  const ingress = [...view.all("network")].find(({ Spec }) => Spec.Ingress);
  if (ingress?.Gateways?.[nodeId] !== undefined) needed.add(ingress.ID);
  const networks = [...needed].sort().flatMap((id) => {
    const network = view.get("network", id);
    return network && isOverlay(network) && network.VNI !== undefined ? [network] : [];
  });
  if (networks.length === 0) return;
  const { tasks } = tasksOnNetworks(view);
  const services = new Set<string>();
  for (const network of networks) {
    set.set(`network/${network.ID}`, {
      kind: "network",
      id: network.ID,
      network: networkAssignment(view, network, nodeId),
    });
    for (const task of tasks.get(network.ID) ?? []) {
      set.set(`endpoint/${task.ID}`, endpointAssignment(view, task));
    }
  }
  const ids = new Set(networks.map(({ ID }) => ID));
  for (const service of view.all("service")) {
    const on = (service.Spec.TaskTemplate?.Networks ?? []).filter(({ Target }) =>
      ids.has(Target ?? "")
    );
    const ports = ingress && ids.has(ingress.ID) ? publishedPorts(service) : [];
    if ((on.length === 0 && ports.length === 0) || services.has(service.ID)) continue;
    services.add(service.ID);
    const assignment: ServiceAssignment = {
      name: service.Spec.Name ?? service.ID,
      networks: on.map(({ Target = "", Aliases = [] }) => {
        const vip = service.Endpoint?.VirtualIPs?.find(({ NetworkID }) => NetworkID === Target);
        return {
          networkId: Target,
          aliases: Aliases,
          ...(vip?.Addr ? { vip: withoutLength(vip.Addr) } : {}),
        };
      }),
      ...(ports.length > 0 ? { ports, since: service.CreatedAt } : {}),
    };
    set.set(`service/${service.ID}`, { kind: "service", id: service.ID, service: assignment });
  }
}

function publishedPorts(service: Service): PublishedPort[] {
  if (ingressPorts(service.Spec).length === 0) return [];
  return (service.Endpoint?.Ports ?? []).flatMap((port) => {
    const { PublishedPort: published, TargetPort: target, Protocol, PublishMode } = port;
    if ((PublishMode ?? "ingress") !== "ingress" || !published || !target) return [];
    const source = sourceOf(service.Spec, published);
    return [{
      protocol: (Protocol ?? "tcp") as PublishedPort["protocol"],
      published,
      target,
      ...(source === "masquerade" ? {} : { source }),
    }];
  });
}

/** Networks of a task, for finding out whom a change concerns. */
export function networksOf(task: Task | undefined): readonly string[] {
  return task?.NetworksAttachments?.map(({ NetworkID }) => NetworkID) ?? [];
}

/** Handed to its node and not known to have ended. */
function hasContainer(task: Task): boolean {
  return compareStates(task.Status.State, "assigned") >= 0 && !isTerminal(task.Status.State);
}

function tasksOnNetworks(view: View): OnNetworks {
  const known = cache.get(view);
  if (known?.index === view.index) return known;
  const tasks = new Map<string, Task[]>();
  for (const task of view.all("task")) {
    if (!task.NetworksAttachments || !hasContainer(task)) continue;
    // Nobody is there: the container's node keeps its part of the network all the same.
    if (task.Spec.NetworkAttachmentSpec?.Idle) continue;
    for (const { NetworkID, Addresses } of task.NetworksAttachments) {
      if (task.Spec.NetworkAttachmentSpec && !Addresses) continue;
      const on = tasks.get(NetworkID);
      if (on) on.push(task);
      else tasks.set(NetworkID, [task]);
    }
  }
  for (const on of tasks.values()) on.sort((a, b) => a.ID < b.ID ? -1 : 1);
  const made = { index: view.index, tasks };
  cache.set(view, made);
  return made;
}

function networkAssignment(view: View, network: Network, nodeId: string): NetworkAssignment {
  const gateway = network.Gateways?.[nodeId];
  const mtu = network.Spec.Driver?.Options?.[OPTION.mtu];
  const cluster = clusterOf(view);
  const port = cluster?.DataPathPort || CLUSTER_DEFAULTS.dataPathPort;
  const encrypted = isEncrypted(network);
  return {
    name: network.Spec.Name ?? network.ID,
    vni: network.VNI ?? 0,
    port: encrypted ? encryptedPort(port) : port,
    subnet: subnetOf(network),
    ...(gateway === undefined ? {} : { gateway }),
    internal: network.Spec.Internal ?? false,
    ...(network.Spec.Ingress ? { ingress: true as const } : {}),
    ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
    ...(encrypted ? { encryption: encryptionOf(cluster?.NetworkKeys ?? []) } : {}),
    peers: Object.entries(network.Gateways ?? {}).flatMap(([id, address]) => {
      const addr = id === nodeId ? undefined : dataPathAddress(view, id);
      return addr ? [{ nodeId: id, addr, gateway: address }] : [];
    }),
  };
}

function encryptionOf(keys: readonly StoredNetworkKey[]): NetworkEncryption {
  return { keys: keys.map(({ ID, Key }) => ({ id: ID, key: Key })), primary: primaryKey(keys) };
}

/** Where frames for a node go: its data path's address, or the one it is seen with. */
function dataPathAddress(view: View, nodeId: string): string | undefined {
  const node = view.get("node", nodeId);
  return node?.Description?.Overlay?.Addr || node?.Status.Addr;
}

function endpointAssignment(view: View, task: Task): Assignment {
  const nodeDown = view.get("node", task.NodeID ?? "")?.Status.State === "down";
  const runs = !nodeDown && task.Status.State === "running";
  const stays = compareStates(task.DesiredState, "shutdown") < 0;
  const phase: Phase = runs ? stays ? "serving" : "draining" : "idle";
  const made = endpoints.get(task) ?? new Map<Phase, Assignment>();
  endpoints.set(task, made);
  const known = made.get(phase);
  if (known) return known;
  const nameservers = task.Spec.NetworkAttachmentSpec?.Nameservers ??
    task.Spec.ContainerSpec?.DNSConfig?.Nameservers;
  const endpoint: EndpointAssignment = {
    nodeId: task.NodeID ?? "",
    ...(task.ServiceID === undefined ? {} : { serviceId: task.ServiceID }),
    ...(task.ServiceAnnotations?.Name ? { service: task.ServiceAnnotations.Name } : {}),
    ...(task.ServiceID === undefined && task.Name ? { container: task.Name } : {}),
    names: namesOf(view, task, phase),
    addresses: (task.NetworksAttachments ?? []).flatMap(({ NetworkID, Addresses }) =>
      (Addresses ?? []).map((address) => ({
        networkId: NetworkID,
        address: withoutLength(address),
      }))
    ),
    serving: phase === "serving",
    ...(phase === "draining" ? { draining: true as const } : {}),
    ...(nameservers?.length ? { nameservers } : {}),
  };
  const assignment: Assignment = { kind: "endpoint", id: task.ID, endpoint };
  made.set(phase, assignment);
  return assignment;
}

/**
 * A task goes by its full name and, while it serves, by its hostname and its container's short id, as in
 * Swarm; a container by the name and the aliases that its user gave it.
 */
function namesOf(view: View, task: Task, phase: Phase): string[] {
  if (task.ServiceID !== undefined) {
    // A task and its successor may have one hostname.
    const more = phase === "serving" ? [hostnameOf(view, task), shortIdOf(task)] : [];
    return [taskName(task), ...more.filter((name) => name !== undefined)];
  }
  const aliases = (task.NetworksAttachments ?? []).flatMap(({ Aliases = [] }) => Aliases);
  return [...new Set([...(task.Name ? [task.Name] : []), ...aliases])];
}

function hostnameOf(view: View, task: Task): string | undefined {
  const hostname = task.Spec.ContainerSpec?.Hostname;
  if (!hostname) return undefined;
  const { ID: id = "", Description } = view.get("node", task.NodeID ?? "") ?? {};
  try {
    return expand(hostname, task, {
      id,
      hostname: Description?.Hostname ?? "",
      architecture: Description?.Platform?.Architecture ?? "",
      os: Description?.Platform?.OS ?? "",
    });
  } catch (error) {
    // Its node could not make a container of it either.
    if (error instanceof FleetError) return undefined;
    throw error;
  }
}

/** The engine's name for the container where people are to read it. */
const SHORT_ID = 12;

function shortIdOf({ Status }: Task): string | undefined {
  return Status.ContainerStatus?.ContainerID?.slice(0, SHORT_ID) || undefined;
}
