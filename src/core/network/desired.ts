import { macOf } from "../../model/network.ts";
import type { NetworkAssignment, NetworkEncryption } from "../../model/session.ts";
import { desiredBalancers, desiredPublished } from "./balancer.ts";
import type { PublishedServer, VirtualServer } from "./balancer.ts";
import { ESP_OVERHEAD } from "./esp.ts";
import type { Picture } from "./picture.ts";

/** What VXLAN over IPv4 adds to each frame: outer Ethernet, IP, UDP and VXLAN heads. */
export const VXLAN_OVERHEAD = 50;

/** The node itself, as far as its overlay networks depend on it. */
export interface NodeFacts {
  readonly nodeId: string;
  /** Address of the data path on this machine. */
  readonly dataPathAddr: string;
  /** Largest packet, in bytes, of the interface that has it. */
  readonly dataPathMtu: number;
  /** TCP port on which managers listen; containers have no business there. */
  readonly apiPort: number;
}

/** Everything that the kernel and the engine of this node shall hold for one network. */
export interface DesiredNetwork {
  readonly id: string;
  readonly name: string;
  readonly vni: number;
  readonly port: number;
  readonly bridge: string;
  readonly vxlan: string;
  readonly subnet: string;
  /** This node's address, without length. */
  readonly gateway: string;
  readonly mtu: number;
  readonly internal: boolean;
  /** The network of the routing mesh. */
  readonly ingress: boolean;
  readonly local: string;
  /** What goes to other nodes is encrypted with these. */
  readonly encryption?: NetworkEncryption;
  /** Data path addresses of the other nodes on the network, sorted. */
  readonly peers: readonly string[];
  /** Everything on the network that is on other nodes, sorted by address. */
  readonly remotes: readonly Remote[];
  /** Addresses of the tasks that run on this node, sorted. */
  readonly tasks: readonly string[];
  /** Virtual addresses that this node answers for, sorted. */
  readonly vips: readonly string[];
}

export interface Remote {
  readonly address: string;
  readonly mac: string;
  /** The other node's data path. */
  readonly vtep: string;
}

export interface DesiredState {
  /** Sorted by VNI. */
  readonly networks: readonly DesiredNetwork[];
  readonly balancers: readonly VirtualServer[];
  readonly published: readonly PublishedServer[];
  /** Data path addresses of the other nodes, sorted. */
  readonly peers: readonly string[];
  readonly facts: NodeFacts;
}

export const bridgeName = (vni: number): string => `fl-${vni}`;
export const vxlanName = (vni: number): string => `flx-${vni}`;

/** The node's part of the networks; those without an address for this node yet are left out. */
export function desiredState(picture: Picture, facts: NodeFacts): DesiredState {
  const networks: DesiredNetwork[] = [];
  const peers = new Set<string>();
  const remotes = remotesByNetwork(picture, facts);
  const tasks = tasksByNetwork(picture, facts);
  const vips = vipsByNetwork(picture);
  for (const [id, network] of picture.networks) {
    if (network.gateway === undefined) continue;
    for (const { addr } of network.peers) peers.add(addr);
    networks.push({
      id,
      name: network.name,
      vni: network.vni,
      port: network.port,
      bridge: bridgeName(network.vni),
      vxlan: vxlanName(network.vni),
      subnet: network.subnet,
      gateway: network.gateway,
      mtu: mtuOf(network, facts),
      internal: network.internal,
      ingress: network.ingress ?? false,
      local: facts.dataPathAddr,
      ...(network.encryption ? { encryption: network.encryption } : {}),
      peers: network.peers.map(({ addr }) => addr).sort(),
      remotes: (remotes.get(id) ?? []).sort(byAddress),
      tasks: (tasks.get(id) ?? []).sort(),
      vips: [...vips.get(id) ?? []].sort(),
    });
  }
  networks.sort((a, b) => a.vni - b.vni);
  return {
    networks,
    balancers: desiredBalancers(picture, networks),
    published: desiredPublished(picture, networks, facts),
    peers: [...peers].sort(),
    facts,
  };
}

function mtuOf(network: NetworkAssignment, facts: NodeFacts): number {
  const most = facts.dataPathMtu - VXLAN_OVERHEAD - (network.encryption ? ESP_OVERHEAD : 0);
  return Math.min(network.mtu ?? most, most);
}

/** Tasks on other nodes, and those nodes' own addresses: replies to what they pass on come there. */
function remotesByNetwork({ networks, endpoints }: Picture, facts: NodeFacts) {
  const found = new Map<string, Remote[]>();
  const vteps = new Map<string, Map<string, string>>();
  for (const [id, { peers }] of networks) {
    vteps.set(id, new Map(peers.map(({ nodeId, addr }) => [nodeId, addr])));
    found.set(
      id,
      peers.map(({ gateway, addr }) => ({ address: gateway, mac: macOf(gateway), vtep: addr })),
    );
  }
  for (const { nodeId, addresses } of endpoints.values()) {
    if (nodeId === facts.nodeId) continue;
    for (const { networkId, address } of addresses) {
      const vtep = vteps.get(networkId)?.get(nodeId);
      if (vtep) found.get(networkId)?.push({ address, mac: macOf(address), vtep });
    }
  }
  return found;
}

function tasksByNetwork({ endpoints }: Picture, facts: NodeFacts): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { nodeId, container, addresses, serving, draining } of endpoints.values()) {
    if (nodeId !== facts.nodeId || container !== undefined || !(serving || draining)) continue;
    for (const { networkId, address } of addresses) {
      const own = found.get(networkId);
      if (own) own.push(address);
      else found.set(networkId, [address]);
    }
  }
  return found;
}

function vipsByNetwork({ services }: Picture): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { networks } of services.values()) {
    for (const { networkId, vip } of networks) {
      if (vip) found.set(networkId, (found.get(networkId) ?? new Set()).add(vip));
    }
  }
  return found;
}

function byAddress(a: Remote, b: Remote): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : 0;
}
