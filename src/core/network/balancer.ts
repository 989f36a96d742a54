import type { DesiredNetwork } from "./desired.ts";
import type { Picture } from "./picture.ts";

/** Who balances in the kernel: rules of nftables do it themselves, or set the marks that IPVS knows. */
export type MeshKind = "ipvs" | "nftables";

/** A virtual address and the real ones behind it, in words that fit IPVS and nftables alike. */
export interface VirtualServer {
  /** Unique, and the same for the life of the service on that network. */
  readonly key: string;
  /** The service's name, for people who read the kernel's tables. */
  readonly name: string;
  readonly address: string;
  /** The bridge of the network it is on: containers of others have no business with it. */
  readonly bridge: string;
  readonly subnet: string;
  /** This node's address on the network: what passes through it comes from there. */
  readonly source: string;
  /** Sorted by address; never one with weight 0 that does not drain. */
  readonly reals: readonly RealServer[];
}

export interface RealServer {
  readonly address: string;
  /** 0 while it drains: it keeps the connections that it has and gets no new ones. */
  readonly weight: number;
}

/** A port that this node answers on all of its addresses, and the tasks behind it, wherever they run. */
export interface PublishedServer {
  readonly name: string;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly published: number;
  readonly target: number;
  /**
   * Clients keep their address; with `node-local` tasks of other nodes are not asked. With `proxy` it is
   * told by a header, and the kernel has no part in it (`relayed_ports.ts`).
   */
  readonly source?: "node-local" | "preserve" | "proxy";
  readonly reals: readonly RealServer[];
}

/** One virtual server for each service's address on each network of this node. */
export function desiredBalancers(
  picture: Picture,
  networks: readonly DesiredNetwork[],
): VirtualServer[] {
  const byId = new Map(networks.map((network) => [network.id, network]));
  const reals = new Map<string, RealServer[]>();
  for (const { serviceId, addresses, serving, draining } of picture.endpoints.values()) {
    if (serviceId === undefined || (!serving && !draining)) continue;
    for (const { networkId, address } of addresses) {
      const key = `${networkId}/${serviceId}`;
      const of = reals.get(key);
      const real = { address, weight: serving ? 1 : 0 };
      if (of) of.push(real);
      else reals.set(key, [real]);
    }
  }
  const found: VirtualServer[] = [];
  for (const [serviceId, service] of picture.services) {
    for (const { networkId, vip } of service.networks) {
      const network = byId.get(networkId);
      if (!network || vip === undefined) continue;
      const key = `${networkId}/${serviceId}`;
      found.push({
        key,
        name: service.name,
        address: vip,
        bridge: network.bridge,
        subnet: network.subnet,
        source: network.gateway,
        reals: (reals.get(key) ?? []).sort((a, b) => a.address < b.address ? -1 : 1),
      });
    }
  }
  return found.sort((a, b) => a.key < b.key ? -1 : 1);
}

interface PortOwners {
  /** Service id by `protocol/port`: the oldest of those that publish it. */
  readonly owners: ReadonlyMap<string, string>;
  /** A sentence for each service that another one keeps from a port, by `protocol/port of name`. */
  readonly clashes: ReadonlyMap<string, string>;
}

/**
 * Whose a published port is. The managers refuse a second owner; should there be one all the same, the
 * kernel hears of the older service only, or the two would be one server there.
 */
export function portOwners({ services }: Picture): PortOwners {
  const owners = new Map<string, string>();
  const clashes = new Map<string, string>();
  const byAge = [...services].filter(([, { ports = [] }]) => ports.length > 0).sort((a, b) =>
    compare(a[1].since ?? "", b[1].since ?? "") || compare(a[0], b[0])
  );
  for (const [id, { name, ports = [] }] of byAge) {
    for (const { protocol, published } of ports) {
      const key = portKey(protocol, published);
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, id);
      else if (owner !== id) {
        clashes.set(
          `${key} of ${name}`,
          `port ${published}/${protocol} of service ${name} is not answered: service ${
            services.get(owner)!.name
          }, which is older, publishes it too; publish another one`,
        );
      }
    }
  }
  return { owners, clashes };
}

const portKey = (protocol: string, published: number) => `${protocol}/${published}`;
const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;

/** One server for each published port, while the node has the mesh's network; sorted by port. */
export function desiredPublished(
  picture: Picture,
  networks: readonly DesiredNetwork[],
  { apiPort, nodeId: here }: { readonly apiPort: number; readonly nodeId: string },
): PublishedServer[] {
  const ingress = networks.find((network) => network.ingress);
  if (!ingress) return [];
  const reals = new Map<string, (RealServer & { nodeId: string })[]>();
  for (
    const { serviceId = "", nodeId, addresses, serving, draining } of picture.endpoints.values()
  ) {
    if (!serving && !draining) continue;
    for (const { networkId, address } of addresses) {
      if (networkId !== ingress.id) continue;
      const real = { address, weight: serving ? 1 : 0, nodeId };
      const of = reals.get(serviceId);
      if (of) of.push(real);
      else reals.set(serviceId, [real]);
    }
  }
  const found: PublishedServer[] = [];
  const { owners } = portOwners(picture);
  for (const [serviceId, { name, ports = [] }] of picture.services) {
    for (const port of ports) {
      if (owners.get(portKey(port.protocol, port.published)) !== serviceId) continue;
      // Whatever the store says, a node never gives the managers' own port away.
      if (port.protocol === "tcp" && port.published === apiPort) continue;
      const behind = (reals.get(serviceId) ?? []).filter(({ nodeId }) =>
        port.source !== "node-local" || nodeId === here
      ).map(({ address, weight }) => ({ address, weight })).sort((a, b) =>
        a.address < b.address ? -1 : 1
      );
      found.push({ name, ...port, reals: behind });
    }
  }
  return found.sort((a, b) => a.published - b.published || (a.protocol < b.protocol ? -1 : 1));
}
