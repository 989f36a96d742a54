import { isIP } from "../../base/addresses.ts";
import { FleetError } from "../../base/errors.ts";
import { timeText } from "../../model/meta.ts";
import { checkName } from "../../model/names.ts";
import { isEncrypted, isOverlay, OPTION, subnetOf, withoutLength } from "../../model/network.ts";
import type { Network, NetworkSpec } from "../../model/network.ts";
import { isAwaited, nodeName } from "../../model/node.ts";
import { ingressPorts } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import { taskName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import { AddressPool } from "../allocator/address_pool.ts";
import { chooseSubnet, chooseVni, hiddenBy } from "../allocator/subnets.ts";
import { idlePlaces } from "./container_places.ts";
import type { ControlContext } from "./context.ts";
import { MIN_ROTATION_MS, rotateNetworkKeys } from "../pki/network_keys.ts";
import { find, findCluster } from "./lookup.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";

/** Marks the engine's own networks that services may name. */
export const PREDEFINED_LABEL = "com.docker.swarm.predefined";
/** Engine networks of every node that services may use; created with the cluster, hidden in lists. */
export const PREDEFINED_NETWORKS = ["bridge", "host", "none"] as const;
export const INGRESS = "ingress";
/** Smaller packets than this no IPv4 host needs to take (RFC 791). */
const MIN_MTU = 576;
const MAX_MTU = 65_485;
/** Names of one container on one network. */
const MAX_ALIASES = 64;
/** Name servers that one container may have of its own; a resolver asks three. */
const MAX_NAMESERVERS = 16;
/** Containers outside services that one node may have on networks of the cluster. */
const MAX_ATTACHMENTS = 4_096;
/** Removed networks whose identifier and subnet are not given out again at once. */
const MAX_REMEMBERED = 32;
/** Users of a network that a refusal names. */
const MAX_NAMED = 5;

export function isPredefined(network: Network): boolean {
  return network.Spec.Labels?.[PREDEFINED_LABEL] === "true";
}

/** Creates an overlay network: its subnet and VNI are decided here, so that what is wrong is told at once. */
export function createNetwork(
  { tx, newId }: ControlContext,
  args: ControlArgs<"network.create">,
): ControlResult<"network.create"> {
  const { spec } = args;
  checkSpec(tx, spec);
  if (isEncrypted({ Spec: spec })) checkEncryption(tx, spec);
  const id = newId();
  const config = chooseSubnet(tx, spec);
  const vni = chooseVni(tx, spec);
  tx.create("network", {
    ID: id,
    Spec: { ...spec, Labels: spec.Labels ?? {}, Driver: { ...spec.Driver, Name: "overlay" } },
    DriverState: {
      Name: "overlay",
      Options: { ...spec.Driver?.Options, [OPTION.vni]: String(vni) },
    },
    IPAMOptions: { Driver: "default", Config: [config] },
    VNI: vni,
  });
  return { id, warning: hiddenBy(tx, config.Subnet ?? "") ?? "" };
}

/**
 * The network of the routing mesh: made when the founder has told which networks its machine is on, so
 * that it overlaps with none of them, and again for a port that is published after somebody removed it.
 */
export function ensureIngress(tx: ControlContext["tx"], newId: () => string): void {
  if ([...tx.all("network")].some(({ Spec }) => Spec.Ingress)) return;
  const spec: NetworkSpec = { Name: INGRESS, Labels: {}, Ingress: true, Scope: "swarm" };
  const vni = chooseVni(tx, spec);
  tx.create("network", {
    ID: newId(),
    Spec: { ...spec, Driver: { Name: "overlay" }, IPAMOptions: { Driver: "default" } },
    DriverState: { Name: "overlay", Options: { [OPTION.vni]: String(vni) } },
    IPAMOptions: { Driver: "default", Config: [chooseSubnet(tx, spec)] },
    VNI: vni,
  });
}

function checkSpec(view: View, spec: NetworkSpec): void {
  const name = spec.Name ?? "";
  if ((PREDEFINED_NETWORKS as readonly string[]).includes(name) || name === "default") {
    throw new FleetError("forbidden", `operation is not permitted on predefined ${name} network`);
  }
  checkName("network", name);
  if (spec.Labels?.[PREDEFINED_LABEL] !== undefined) {
    throw new FleetError(
      "forbidden",
      `label ${PREDEFINED_LABEL} is for internally created predefined networks and cannot be applied by users`,
    );
  }
  if (view.byName("network", name)) {
    throw new FleetError("conflict", `network with name ${name} already exists`);
  }
  const bad = (message: string): never => {
    throw new FleetError("invalid", `network ${name}: ${message}`);
  };
  const driver = spec.Driver?.Name || "overlay";
  if (driver !== "overlay") {
    bad(`driver "${driver}" has no scope swarm here; use overlay, or leave --scope out`);
  }
  const ipam = spec.IPAMOptions?.Driver || "default";
  if (ipam !== "default") bad(`address driver "${ipam}" is not known; use default`);
  if (spec.IPv6Enabled) bad("overlay networks are IPv4 only; leave --ipv6 out");
  if (spec.Ingress && spec.Attachable) {
    throw new FleetError("invalid", "ingress network cannot be attachable");
  }
  const ingress = [...view.all("network")].find((other) => other.Spec.Ingress);
  if (spec.Ingress && ingress) {
    throw new FleetError("conflict", `ingress network (${ingress.ID}) is already present`);
  }
  const mtu = spec.Driver?.Options?.[OPTION.mtu];
  if (mtu !== undefined) {
    const value = Number(mtu);
    if (!/^\d+$/.test(mtu) || value < MIN_MTU || value > MAX_MTU) {
      bad(`${OPTION.mtu} "${mtu}": a number from ${MIN_MTU} to ${MAX_MTU}`);
    }
  }
}

/** A network that is encrypted on some nodes only would be none: its tasks could not reach each other. */
function checkEncryption(view: View, spec: NetworkSpec): void {
  for (const node of view.all("node")) {
    const problem = node.Description?.Overlay?.EncryptionProblem;
    if (problem === undefined || !(node.Status.State === "ready" || isAwaited(node))) continue;
    throw new FleetError(
      "invalid",
      `network ${spec.Name}: --opt encrypted: node ${nodeName(node)}: ${problem}`,
    );
  }
}

/** Makes the next key of encrypted networks the one that is sent with, before its time. */
export function rotateNetworkKeysNow({ tx, nowMs, randomBytes }: ControlContext): null {
  const cluster = findCluster(tx);
  const keys = cluster.NetworkKeys ?? [];
  if (keys.length === 0) {
    throw new FleetError("invalid", "there is no encrypted network, and so no keys to rotate");
  }
  const ageMs = nowMs - Date.parse(keys.at(-1)!.CreatedAt);
  if (ageMs < MIN_ROTATION_MS) {
    throw new FleetError(
      "conflict",
      `the keys were rotated ${Math.round(ageMs / 1000)} s ago; nodes have ${
        MIN_ROTATION_MS / 1000
      } s to hear of it: try again after that`,
    );
  }
  const NetworkKeys = rotateNetworkKeys(keys, { nowMs, randomBytes });
  tx.update("cluster", { ...cluster, NetworkKeys });
  return null;
}

export function removeNetwork({ tx }: ControlContext, args: ControlArgs<"network.remove">): null {
  const network = find(tx, "network", args.id);
  if (isPredefined(network)) {
    throw new FleetError(
      "forbidden",
      `${network.Spec.Name} is a pre-defined network and cannot be removed`,
    );
  }
  const users = networkUsers(tx, network.ID);
  if (network.Spec.Ingress) users.push(...publishers(tx));
  if (users.length > 0) {
    const more = users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : "";
    throw new FleetError(
      "invalid",
      `network ${network.Spec.Name} is in use by ${users.slice(0, MAX_NAMED).join(", ")}${more}`,
    );
  }
  remember(tx, network);
  // Containers that do not run hold nothing up, as in Docker: to start them again will be refused.
  for (const taskId of idlePlaces(tx, network)) tx.remove("task", taskId);
  tx.remove("network", network.ID);
  return null;
}

/** So that the next networks get others' identifiers and subnets than a node may still have devices of. */
function remember(tx: ControlContext["tx"], network: Network): void {
  const cluster = clusterOf(tx);
  const Subnet = subnetOf(network);
  if (!cluster || network.VNI === undefined || Subnet === "") return;
  const RemovedNetworks = [...cluster.RemovedNetworks ?? [], { VNI: network.VNI, Subnet }]
    .slice(-MAX_REMEMBERED);
  tx.update("cluster", { ...cluster, RemovedNetworks });
}

function publishers(view: View): string[] {
  return [...view.all("service")].filter(({ Spec }) => ingressPorts(Spec).length > 0)
    .map(({ ID, Spec }) => `service ${Spec.Name ?? ID}`).sort();
}

/** Who is on a network: services, then what still runs without one, in words, sorted. */
export function networkUsers(view: View, networkId: string): string[] {
  const services = new Set<string>();
  for (const service of view.all("service")) {
    if (service.Spec.TaskTemplate?.Networks?.some((network) => network.Target === networkId)) {
      services.add(`service ${service.Spec.Name ?? service.ID}`);
    }
  }
  const others = new Set<string>();
  for (const task of view.all("task")) {
    if (isTerminal(task.Status.State) || isGoing(view, task)) continue;
    if (task.Spec.NetworkAttachmentSpec?.Idle) continue;
    if (!task.NetworksAttachments?.some(({ NetworkID }) => NetworkID === networkId)) continue;
    const name = `service ${task.ServiceAnnotations?.Name ?? ""}`;
    if (services.has(name)) continue;
    if (task.ServiceID !== undefined) {
      others.add(`task ${taskName(task)}`);
      continue;
    }
    const node = view.get("node", task.NodeID ?? "");
    others.add(`container ${task.Name ?? task.ID} on ${node ? nodeName(node) : task.NodeID}`);
  }
  return [...[...services].sort(), ...[...others].sort()];
}

/** What stops holds nothing up: its node keeps its part of the network until the container is gone. */
function isGoing(view: View, { DesiredState, ServiceID }: Task): boolean {
  return compareStates(DesiredState, "running") > 0 ||
    (ServiceID !== undefined && view.get("service", ServiceID) === undefined);
}

/**
 * Gives a container outside any service a place on attachable networks: a task on its node, which ends
 * when the container is gone.
 */
export function attachContainer(
  { tx, newId, nowMs }: ControlContext,
  args: ControlArgs<"network.attach">,
): ControlResult<"network.attach"> {
  const network = find(tx, "network", args.networkId);
  if (!isOverlay(network) || !network.Spec.Attachable) {
    throw new FleetError(
      "forbidden",
      `Could not attach to network ${network.Spec.Name}: rpc error: code = PermissionDenied desc = network ${network.Spec.Name} not manually attachable`,
    );
  }
  if (!tx.get("node", args.nodeId)) {
    throw new FleetError("not-found", `node ${args.nodeId} not found`);
  }
  checkAttachment(tx, args);
  const address = args.address === undefined ? undefined : requested(tx, network, args.address);
  const taskId = newId();
  tx.create("task", {
    ID: taskId,
    ...(args.name ? { Name: args.name } : {}),
    Spec: {
      NetworkAttachmentSpec: {
        ...(args.containerId === undefined ? {} : { ContainerID: args.containerId }),
        ...(args.nameservers?.length ? { Nameservers: args.nameservers } : {}),
        ...(address === undefined ? {} : { Fixed: true }),
      },
      Runtime: "attachment",
    },
    NodeID: args.nodeId,
    Status: { State: "new", Timestamp: timeText(nowMs), Message: "created" },
    DesiredState: "running",
    NetworksAttachments: [{
      NetworkID: network.ID,
      Name: network.Spec.Name ?? "",
      ...(args.aliases.length > 0 ? { Aliases: args.aliases } : {}),
      ...(address === undefined ? {} : { Addresses: [address] }),
    }],
  });
  return { taskId };
}

/** A node asks for its containers, and others get to know the names. @throws FleetError invalid, unavailable */
function checkAttachment(view: View, args: ControlArgs<"network.attach">): void {
  const words = [...args.aliases, args.name ?? "", args.containerId ?? ""];
  if (words.length > MAX_ALIASES || words.some((word) => !/^[\x21-\x7e]{0,255}$/.test(word))) {
    throw new FleetError(
      "invalid",
      `a container has at most ${MAX_ALIASES} names of at most 255 plain characters on a network`,
    );
  }
  const { nameservers = [] } = args;
  if (nameservers.length > MAX_NAMESERVERS || nameservers.some((server) => !isIP(server))) {
    throw new FleetError(
      "invalid",
      `a container has at most ${MAX_NAMESERVERS} name servers, each an IP address`,
    );
  }
  let attachments = 0;
  for (const task of view.tasksOfNode(args.nodeId)) {
    if (task.Spec.NetworkAttachmentSpec && !isTerminal(task.Status.State)) attachments++;
  }
  if (attachments < MAX_ATTACHMENTS) return;
  throw new FleetError(
    "unavailable",
    `node ${args.nodeId} has ${MAX_ATTACHMENTS} containers on networks of the cluster, which is the limit`,
  );
}

/** An address that the user asked for. @throws FleetError invalid, conflict (in use) */
function requested(view: View, network: Network, address: string): string {
  const config = network.IPAMOptions?.Config?.[0];
  const pool = new AddressPool(config ?? {});
  if (!pool.isFree(address)) {
    throw new FleetError(
      "invalid",
      `${address} is no host address of network ${network.Spec.Name} (${config?.Subnet})`,
    );
  }
  const holder = holderOf(view, network, address);
  if (holder) {
    throw new FleetError("forbidden", `Address already in use: ${address} is ${holder}'s`);
  }
  return `${address}/${pool.length}`;
}

function holderOf(view: View, network: Network, address: string): string | undefined {
  const has = (cidr: string | undefined) => withoutLength(cidr ?? "") === address;
  for (const [nodeId, gateway] of Object.entries(network.Gateways ?? {})) {
    if (gateway === address) return `node ${nodeId}`;
  }
  for (const service of view.all("service")) {
    for (const { NetworkID, Addr } of service.Endpoint?.VirtualIPs ?? []) {
      if (NetworkID === network.ID && has(Addr)) return `service ${service.Spec.Name}`;
    }
  }
  for (const task of view.all("task")) {
    if (isTerminal(task.Status.State)) continue;
    for (const { NetworkID, Addresses } of task.NetworksAttachments ?? []) {
      if (NetworkID === network.ID && Addresses?.some(has)) return `task ${taskName(task)}`;
    }
  }
  return undefined;
}

/** Ends a container's attachment. Only its own node may ask; what is gone already is fine. */
export function detachContainer({ tx }: ControlContext, args: ControlArgs<"network.detach">): null {
  const task = tx.get("task", args.taskId);
  if (!task?.Spec.NetworkAttachmentSpec) return null;
  if (task.NodeID !== args.nodeId) {
    throw new FleetError("forbidden", `attachment ${task.ID} is another node's`);
  }
  tx.remove("task", task.ID);
  return null;
}

/** Overlay networks; those with reserved names belong to the engine. */
export function clusterNetworks(view: View): Network[] {
  return [...view.all("network")].filter((network) => isOverlay(network) && !isPredefined(network));
}

/**
 * A network by id, name, or the beginning of its id, which only one may have.
 * @throws FleetError invalid (ambiguous)
 */
export function findNetwork(view: View, reference: string): Network | undefined {
  const networks = clusterNetworks(view);
  const exact = networks.find(({ ID, Spec }) => ID === reference || Spec.Name === reference);
  if (exact || reference === "") return exact;
  const prefixed = networks.filter(({ ID }) => ID.startsWith(reference));
  if (prefixed.length > 1) {
    throw new FleetError(
      "invalid",
      `network ${reference} is ambiguous (${prefixed.length} matches found based on ID prefix)`,
    );
  }
  return prefixed[0];
}

/** One of the engine's own networks, which services of the cluster may name. */
export function predefinedNetwork(view: View, reference: string): Network | undefined {
  return [...view.all("network")].find((network) =>
    isPredefined(network) && (network.Spec.Name === reference || network.ID === reference)
  );
}
