import { cidrText, contains, ipv4ToInt, overlap, parseCidr } from "../../base/cidr.ts";
import type { Cidr } from "../../base/cidr.ts";
import { FleetError } from "../../base/errors.ts";
import { CLUSTER_DEFAULTS } from "../../model/cluster.ts";
import { isOverlay, OPTION, subnetOf } from "../../model/network.ts";
import type { IPAMConfig, Network, NetworkSpec } from "../../model/network.ts";
import { nodeName } from "../../model/node.ts";
import { AddressPool } from "./address_pool.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";

/** Identifiers below are left to others; Swarm begins at the same number. */
export const FIRST_VNI = 4096;
/** The one after it is for nodes' own trials. */
export const LAST_VNI = 2 ** 24 - 2;
/** A gateway, an address per node, a service and a task need this much room at least. */
const LONGEST_PREFIX = 29;
const SHORTEST_PREFIX = 8;
/** Of a range within the subnet: for one node and one task. */
const LEAST_ADDRESSES = 2;

/** Addresses that have a meaning of their own everywhere (RFC 6890): no container could be reached there. */
const SPECIAL = [
  ["0.0.0.0/8", "this network"],
  ["127.0.0.0/8", "each machine's own"],
  ["169.254.0.0/16", "link-local"],
  ["224.0.0.0/4", "multicast"],
  ["240.0.0.0/4", "reserved"],
] as const;

/** In words what of a range is nobody's to give; undefined when nothing. */
export function specialPart(range: Cidr): string | undefined {
  const found = SPECIAL.find(([text]) => overlap(parseCidr(text)!, range));
  return found && `${found[0]} (${found[1]})`;
}

/** What makes a subnet unusable for a new network. */
interface Taken {
  readonly range: Cidr;
  /** For the message: who has it. */
  readonly by: string;
}

/**
 * Subnet, range, gateway and reserved addresses of a new network: what the user asked for, checked, or
 * the first free piece of the cluster's pools.
 * @throws FleetError invalid, naming what is wrong or who has the subnet already
 */
export function chooseSubnet(view: View, spec: NetworkSpec): IPAMConfig {
  const given = (spec.IPAMOptions?.Config ?? []).filter((config) => Object.keys(config).length > 0);
  if (given.length > 1) {
    bad(`network ${spec.Name}: an overlay network has one IPv4 subnet, not ${given.length}`);
  }
  const config = given[0];
  if (!config?.Subnet) {
    for (const field of ["IPRange", "Gateway"] as const) {
      if (config?.[field]) bad(`network ${spec.Name}: ${field} ${config[field]} needs a subnet`);
    }
    return withGateway({ ...config, Subnet: cidrText(fromPools(view, spec)) });
  }
  const range = checkSubnet(spec, config.Subnet);
  const taken = takenBy(view).find((other) => overlap(range, other.range));
  if (taken) {
    bad(
      `network ${spec.Name}: subnet ${config.Subnet} overlaps with ${
        cidrText(taken.range)
      } of ${taken.by}; choose another one`,
    );
  }
  checkInside(spec, config, range);
  return withGateway({ ...config, Subnet: cidrText(range) });
}

/** @throws FleetError invalid for an identifier that is malformed or another network's */
export function chooseVni(view: View, spec: NetworkSpec): number {
  const used = new Map<number, string>();
  let highest = FIRST_VNI - 1;
  for (const network of view.all("network")) {
    if (network.VNI === undefined) continue;
    used.set(network.VNI, network.Spec.Name ?? network.ID);
    highest = Math.max(highest, network.VNI);
  }
  const given = spec.Driver?.Options?.[OPTION.vni];
  if (given !== undefined) {
    const vni = Number(given);
    if (!/^\d+$/.test(given) || vni < 1 || vni > LAST_VNI) {
      bad(`network ${spec.Name}: ${OPTION.vni} "${given}": one number from 1 to ${LAST_VNI}`);
    }
    if (used.has(vni)) {
      bad(`network ${spec.Name}: VNI ${vni} is in use by network ${used.get(vni)}`);
    }
    return vni;
  }
  // What a removed network had may linger on a node that is away.
  const lingering = new Set((clusterOf(view)?.RemovedNetworks ?? []).map(({ VNI }) => VNI));
  highest = Math.max(highest, ...lingering);
  if (highest < LAST_VNI) return highest + 1;
  for (let vni = FIRST_VNI; vni <= LAST_VNI; vni++) {
    if (!used.has(vni) && !lingering.has(vni)) return vni;
  }
  return bad(`network ${spec.Name}: all ${LAST_VNI} VXLAN identifiers are in use`);
}

function checkSubnet(spec: NetworkSpec, text: string): Cidr {
  const range = parseCidr(text);
  if (!range) {
    bad(
      text.includes(":")
        ? `network ${spec.Name}: overlay networks are IPv4 only, ${text} is not`
        : `network ${spec.Name}: invalid subnet "${text}": write it like 10.9.0.0/24`,
    );
  }
  if (cidrText(range) !== text) {
    bad(`network ${spec.Name}: invalid subnet ${text}: it should be ${cidrText(range)}`);
  }
  if (range.length > LONGEST_PREFIX || range.length < SHORTEST_PREFIX) {
    bad(
      `network ${spec.Name}: subnet ${text}: the length must be from ${SHORTEST_PREFIX} to ${LONGEST_PREFIX}`,
    );
  }
  const special = specialPart(range);
  if (special !== undefined) {
    bad(
      `network ${spec.Name}: subnet ${text} has addresses of ${special}, which no container can have; choose one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16`,
    );
  }
  return range;
}

function checkInside(spec: NetworkSpec, config: IPAMConfig, subnet: Cidr): void {
  if (config.IPRange !== undefined) {
    const range = parseCidr(config.IPRange);
    if (!range || !contains(subnet, range)) {
      bad(`network ${spec.Name}: IP range ${config.IPRange} is not inside ${config.Subnet}`);
    }
  }
  const single = [["gateway", config.Gateway] as const].concat(
    Object.values(config.AuxiliaryAddresses ?? {}).map((address) =>
      ["reserved address", address] as never
    ),
  );
  for (const [what, address] of single) {
    if (address === undefined) continue;
    const value = ipv4ToInt(address);
    if (value === undefined || value <= subnet.first || value >= subnet.last) {
      bad(`network ${spec.Name}: ${what} ${address} is no host address of ${config.Subnet}`);
    }
  }
  if (new AddressPool(withGateway(config)).capacity < LEAST_ADDRESSES) {
    const what = config.IPRange === undefined ? "subnet" : `IP range ${config.IPRange} of`;
    bad(
      `network ${spec.Name}: ${what} ${config.Subnet} has no room: a node and a container on it need an address each; choose a larger one`,
    );
  }
}

function withGateway(config: IPAMConfig): IPAMConfig {
  if (config.Gateway) return config;
  const range = parseCidr(config.Subnet ?? "")!;
  const reserved = new Set(Object.values(config.AuxiliaryAddresses ?? {}).map(ipv4ToInt));
  let gateway = range.first + 1;
  while (reserved.has(gateway)) gateway++;
  return {
    ...config,
    Gateway: cidrText({ first: gateway, last: gateway, length: 32 }).slice(0, -3),
  };
}

/** The subnets that nobody may be given: other networks', and those the nodes are on themselves. */
function takenBy(view: View): Taken[] {
  const taken: Taken[] = [];
  for (const network of view.all("network")) {
    const range = parseCidr(subnetOf(network));
    if (range) taken.push({ range, by: `network ${network.Spec.Name ?? network.ID}` });
  }
  for (const node of view.all("node")) {
    for (const subnet of node.Description?.Overlay?.Subnets ?? []) {
      const range = parseCidr(subnet);
      if (range) taken.push({ range, by: `node ${nodeName(node)} itself` });
    }
  }
  return taken;
}

/** What nodes reach through other routers: the default route has it anyway, so it is no reason to refuse. */
function routes(view: View): Taken[] {
  return [...view.all("node")].flatMap((node) =>
    (node.Description?.Overlay?.Routes ?? []).flatMap((text) => {
      const range = parseCidr(text);
      return range ? [{ range, by: nodeName(node) }] : [];
    })
  );
}

/** What of the world outside containers with addresses of `subnet` cannot reach; undefined when nothing. */
export function hiddenBy(view: View, subnet: string): string | undefined {
  const range = parseCidr(subnet);
  const hidden = range && routes(view).find((route) => overlap(range, route.range));
  return hidden &&
    `subnet ${subnet} overlaps with ${
      cidrText(hidden.range)
    }, which node ${hidden.by} reaches through a router: nodes and containers on the network will not reach those addresses`;
}

function fromPools(view: View, spec: NetworkSpec): Cidr {
  const cluster = clusterOf(view);
  const pools = cluster?.DefaultAddrPool?.length
    ? cluster.DefaultAddrPool
    : CLUSTER_DEFAULTS.addrPool;
  const length = cluster?.SubnetSize || CLUSTER_DEFAULTS.subnetSize;
  const taken = takenBy(view).map(({ range }) => range);
  const lingering = (cluster?.RemovedNetworks ?? []).flatMap(({ Subnet }) =>
    parseCidr(Subnet) ?? []
  );
  const routed = routes(view).map(({ range }) => range);
  // A company's 10.0.0.0/8 behind a router must not leave nothing.
  return firstFree(pools, length, [...taken, ...lingering, ...routed]) ??
    firstFree(pools, length, [...taken, ...lingering]) ?? firstFree(pools, length, taken) ??
    bad(
      `network ${spec.Name}: no subnet of length ${length} is left in the cluster's address pools (${
        pools.join(", ")
      }); remove a network or give --subnet`,
    );
}

function firstFree(
  pools: readonly string[],
  length: number,
  taken: readonly Cidr[],
): Cidr | undefined {
  for (const text of pools) {
    const pool = parseCidr(text);
    if (!pool || pool.length > length) continue;
    const size = 2 ** (32 - length);
    for (let first = pool.first; first + size - 1 <= pool.last;) {
      const candidate = { first, last: first + size - 1, length };
      const hit = taken.find((range) => overlap(range, candidate));
      if (!hit) return candidate;
      // On behind whatever is in the way, at the next border.
      first = Math.max(first + size, Math.ceil((hit.last + 1) / size) * size);
    }
  }
  return undefined;
}

/** Whether two networks would share addresses; for audits. */
export function overlappingNetworks(view: View): [Network, Network][] {
  const networks = [...view.all("network")].filter(isOverlay);
  const found: [Network, Network][] = [];
  for (const [i, a] of networks.entries()) {
    for (const b of networks.slice(i + 1)) {
      const [x, y] = [parseCidr(subnetOf(a)), parseCidr(subnetOf(b))];
      if (x && y && overlap(x, y)) found.push([a, b]);
    }
  }
  return found;
}

function bad(message: string): never {
  throw new FleetError("invalid", message);
}
