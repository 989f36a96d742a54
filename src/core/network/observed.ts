import type { IpvsService } from "./ipvs.ts";

/** What the node has, as its kernel and engine tell. */
export interface ObservedState {
  /** Engine networks with fleet's label. */
  readonly engineNetworks: readonly EngineNetwork[];
  /** Names of all other engine networks. */
  readonly foreignNames: ReadonlySet<string>;
  /** Bridges and VXLAN devices of fleet, by name. */
  readonly links: ReadonlyMap<string, Link>;
  /** VXLAN devices that are not fleet's. */
  readonly foreignVxlans: readonly {
    readonly name: string;
    readonly vni: number;
    readonly port: number;
  }[];
  /** IPv4 addresses with length, by device. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Permanent neighbour entries of VXLAN devices: hardware address by address. */
  readonly neighbours: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Permanent forwarding entries of VXLAN devices: hardware address to the data paths of others. */
  readonly forwarding: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;
  /** The listing of fleet's nftables table, without counters and handles; empty when there is none. */
  readonly ruleset: string;
  /** Services of IPVS by mark, also of others; absent when nftables balances. */
  readonly ipvs?: readonly IpvsService[];
}

export interface EngineNetwork {
  readonly engineId: string;
  readonly name: string;
  /** Of the cluster's network. */
  readonly id: string;
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
}

export interface Link {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly master: string | undefined;
  /** Of VXLAN devices only. */
  readonly vxlan?: {
    readonly vni: number;
    readonly port: number;
    readonly local: string;
    readonly learning: boolean;
    readonly proxy: boolean;
  };
}
