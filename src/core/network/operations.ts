import { macOf } from "../../model/network.ts";
import { bridgeName } from "./desired.ts";
import type { DesiredNetwork, DesiredState } from "./desired.ts";
import type { EngineNetwork, Link, ObservedState } from "./observed.ts";

/**
 * One thing to do to the node. Each may be done again without harm, and reads as a sentence in a log.
 * `network` is the id of the network it is for; one that is being removed has none.
 */
export type Operation =
  | {
    readonly op: "create-engine-network";
    readonly network: string;
    readonly spec: DesiredNetwork;
  }
  /** The bridge of an engine network that has containers was deleted: they are put on a new one. */
  | {
    readonly op: "restore-bridge";
    readonly network: string;
    readonly spec: DesiredNetwork;
    readonly engineId: string;
  }
  | { readonly op: "remove-engine-network"; readonly engineId: string; readonly name: string }
  | { readonly op: "add-vxlan"; readonly network: string; readonly spec: DesiredNetwork }
  | { readonly op: "remove-link"; readonly device: string }
  | {
    readonly op: "set-link";
    readonly network: string;
    readonly device: string;
    readonly mac?: string;
    readonly mtu?: number;
    readonly master?: string;
    readonly up?: true;
  }
  | {
    readonly op: "add-address" | "remove-address";
    readonly network: string;
    readonly device: string;
    /** With length. */
    readonly address: string;
  }
  | {
    readonly op: "set-neighbour";
    readonly network: string;
    readonly device: string;
    readonly address: string;
    readonly mac: string;
  }
  | {
    readonly op: "remove-neighbour";
    readonly network: string;
    readonly device: string;
    readonly address: string;
  }
  | {
    readonly op: "add-forwarding" | "remove-forwarding";
    readonly network: string;
    readonly device: string;
    readonly mac: string;
    readonly vtep: string;
  };

/** Why a network cannot be had on this node, by network id. */
export type Problems = ReadonlyMap<string, string>;

export interface Plan {
  readonly operations: readonly Operation[];
  readonly problems: Problems;
}

/**
 * What to do so that the node has what it shall have: the difference, in an order that works. A network
 * that cannot be had is left alone and named in `problems`.
 */
export function planOperations(desired: DesiredState, observed: ObservedState): Plan {
  const problems = new Map<string, string>();
  const operations: Operation[] = removals(desired, observed);
  for (const network of desired.networks) {
    const problem = problemOf(network, observed);
    if (problem === undefined) operations.push(...networkOperations(network, observed));
    else problems.set(network.id, problem);
  }
  return { operations, problems };
}

function problemOf(network: DesiredNetwork, observed: ObservedState): string | undefined {
  if (observed.foreignNames.has(network.name)) {
    return `network ${network.name}: the engine has a local network of that name; remove it (docker network rm ${network.name}) or rename one`;
  }
  const rival = observed.foreignVxlans.find(({ vni, port }) =>
    vni === network.vni && port === network.port
  );
  if (rival) {
    return `network ${network.name}: VNI ${network.vni} is in use by device ${rival.name}, which is not fleet's; remove that device or create the network anew`;
  }
  return undefined;
}

/** Leftovers of networks that the node shall not have any more. */
function removals(desired: DesiredState, observed: ObservedState): Operation[] {
  const wanted = new Set(desired.networks.flatMap(({ bridge, vxlan }) => [bridge, vxlan]));
  const bridges = new Set(desired.networks.map(({ bridge }) => bridge));
  const operations: Operation[] = [];
  const engineBridges = new Set(observed.engineNetworks.map(({ bridge }) => bridge));
  for (const { name, vxlan } of sortedLinks(observed)) {
    if (vxlan && !wanted.has(name)) operations.push({ op: "remove-link", device: name });
  }
  const kept = new Set<string>();
  for (const { engineId, name, id, bridge } of observed.engineNetworks) {
    const network = desired.networks.find((candidate) => candidate.id === id);
    // Two for one network are a leftover of a creation whose answer was lost.
    if (network && network.bridge === bridge && !kept.has(id)) kept.add(id);
    else operations.push({ op: "remove-engine-network", engineId, name });
  }
  for (const { name, vxlan } of sortedLinks(observed)) {
    if (!vxlan && !bridges.has(name) && !engineBridges.has(name)) {
      operations.push({ op: "remove-link", device: name });
    }
  }
  return operations;
}

function* networkOperations(
  network: DesiredNetwork,
  observed: ObservedState,
): Iterable<Operation> {
  const engine = observed.engineNetworks.find(({ id, bridge }) =>
    id === network.id && bridge === network.bridge
  );
  const bridge = observed.links.get(network.bridge);
  const kept = engine !== undefined && isSame(engine, network);
  const fresh = !kept || !bridge;
  if (!kept) {
    // A bridge without the engine's network is a leftover: the engine makes both together.
    if (engine) {
      yield { op: "remove-engine-network", engineId: engine.engineId, name: engine.name };
    } else if (bridge) yield { op: "remove-link", device: network.bridge };
    yield { op: "create-engine-network", network: network.id, spec: network };
  } else if (!bridge) {
    const { engineId } = engine;
    yield { op: "restore-bridge", network: network.id, spec: network, engineId };
  }
  yield* bridgeOperations(network, fresh ? undefined : bridge);
  yield* addressOperations(network, fresh ? [] : observed.addresses.get(network.bridge) ?? []);
  const vxlan = observed.links.get(network.vxlan);
  const usable = vxlan !== undefined && isUsable(vxlan, network);
  if (!usable) {
    if (vxlan) yield { op: "remove-link", device: network.vxlan };
    yield { op: "add-vxlan", network: network.id, spec: network };
  } else if (fresh || vxlan.master !== network.bridge || vxlan.mtu !== network.mtu || !vxlan.up) {
    yield {
      op: "set-link",
      network: network.id,
      device: network.vxlan,
      mtu: network.mtu,
      master: network.bridge,
      up: true,
    };
  }
  yield* remoteOperations(network, usable ? observed : undefined);
}

function isSame(engine: EngineNetwork, network: DesiredNetwork): boolean {
  return engine.name === network.name && engine.subnet === network.subnet &&
    engine.gateway === network.gateway;
}

function* bridgeOperations(
  network: DesiredNetwork,
  bridge: Link | undefined,
): Iterable<Operation> {
  const mac = macOf(network.gateway);
  if (bridge?.mac === mac && bridge.mtu === network.mtu && bridge.up) return;
  yield {
    op: "set-link",
    network: network.id,
    device: network.bridge,
    mac,
    mtu: network.mtu,
    up: true,
  };
}

function* addressOperations(
  network: DesiredNetwork,
  had: readonly string[],
): Iterable<Operation> {
  const length = network.subnet.split("/")[1];
  const wanted = [`${network.gateway}/${length}`, ...network.vips.map((vip) => `${vip}/32`)];
  const change = (op: "add-address" | "remove-address", address: string): Operation => ({
    op,
    network: network.id,
    device: network.bridge,
    address,
  });
  for (const address of had) if (!wanted.includes(address)) yield change("remove-address", address);
  for (const address of wanted) if (!had.includes(address)) yield change("add-address", address);
}

function isUsable({ vxlan }: Link, network: DesiredNetwork): boolean {
  return vxlan !== undefined && vxlan.vni === network.vni && vxlan.port === network.port &&
    vxlan.local === network.local && !vxlan.learning && vxlan.proxy;
}

function* remoteOperations(
  { id, vxlan: device, remotes }: DesiredNetwork,
  observed: ObservedState | undefined,
): Iterable<Operation> {
  const neighbours = observed?.neighbours.get(device) ?? new Map<string, string>();
  const forwarding = observed?.forwarding.get(device) ?? new Map<string, readonly string[]>();
  const addresses = new Set(remotes.map(({ address }) => address));
  const vteps = new Map(remotes.map(({ mac, vtep }) => [mac, vtep]));
  for (const [mac, had] of [...forwarding].sort()) {
    for (const vtep of had) {
      if (vteps.get(mac) === vtep) continue;
      yield { op: "remove-forwarding", network: id, device, mac, vtep };
    }
  }
  for (const [address] of [...neighbours].sort()) {
    if (!addresses.has(address)) yield { op: "remove-neighbour", network: id, device, address };
  }
  for (const { address, mac, vtep } of remotes) {
    if (!forwarding.get(mac)?.includes(vtep)) {
      yield { op: "add-forwarding", network: id, device, mac, vtep };
    }
    if (neighbours.get(address) !== mac) {
      yield { op: "set-neighbour", network: id, device, address, mac };
    }
  }
}

/** What is observed once the operations have worked, so that the next difference needs no look. */
export function assume(desired: DesiredState, observed: ObservedState): ObservedState {
  const bridges = new Map(desired.networks.map((network) => [network.bridge, network]));
  const links = new Map<string, Link>();
  const addresses = new Map<string, readonly string[]>();
  const neighbours = new Map<string, ReadonlyMap<string, string>>();
  const forwarding = new Map<string, ReadonlyMap<string, readonly string[]>>();
  for (const network of bridges.values()) {
    const base = { mtu: network.mtu, up: true };
    const length = network.subnet.split("/")[1];
    links.set(network.bridge, {
      ...base,
      name: network.bridge,
      mac: macOf(network.gateway),
      master: undefined,
    });
    links.set(network.vxlan, {
      ...base,
      name: network.vxlan,
      mac: "",
      master: bridgeName(network.vni),
      vxlan: {
        vni: network.vni,
        port: network.port,
        local: network.local,
        learning: false,
        proxy: true,
      },
    });
    addresses.set(network.bridge, [
      `${network.gateway}/${length}`,
      ...network.vips.map((vip) => `${vip}/32`),
    ]);
    neighbours.set(network.vxlan, new Map(network.remotes.map((r) => [r.address, r.mac])));
    forwarding.set(network.vxlan, new Map(network.remotes.map((r) => [r.mac, [r.vtep]])));
  }
  return {
    ...observed,
    engineNetworks: desired.networks.map((network) => ({
      // Of one that was made just now the id is not known; the engine takes names as well.
      engineId: observed.engineNetworks.find(({ id }) => id === network.id)?.engineId ??
        network.name,
      name: network.name,
      id: network.id,
      bridge: network.bridge,
      subnet: network.subnet,
      gateway: network.gateway,
    })),
    links,
    addresses,
    neighbours,
    forwarding,
  };
}

/** One operation as a person reads it. */
export function describeOperation(operation: Operation): string {
  switch (operation.op) {
    case "create-engine-network":
      return `create engine network ${operation.spec.name}`;
    case "restore-bridge":
      return `restore device ${operation.spec.bridge}`;
    case "remove-engine-network":
      return `remove engine network ${operation.name}`;
    case "add-vxlan":
      return `add device ${operation.spec.vxlan}`;
    case "remove-link":
      return `remove device ${operation.device}`;
    case "set-link":
      return `set device ${operation.device}`;
    case "add-address":
    case "remove-address":
      return `${operation.op.replace("-", " ")} ${operation.address} on ${operation.device}`;
    case "set-neighbour":
    case "remove-neighbour":
      return `${operation.op.replace("-", " ")} ${operation.address} on ${operation.device}`;
    case "add-forwarding":
    case "remove-forwarding":
      return `${
        operation.op.replace("-", " ")
      } ${operation.mac} to ${operation.vtep} on ${operation.device}`;
  }
}

function sortedLinks(observed: ObservedState): Link[] {
  return [...observed.links.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}
