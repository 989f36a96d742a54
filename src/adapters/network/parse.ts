import type { Link } from "../../core/network/observed.ts";

/** The parts of the answers of `ip -j` and `bridge -j` that fleet reads. */
interface IpLink {
  readonly ifname: string;
  readonly address?: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: {
      readonly id?: number;
      readonly port?: number;
      readonly local?: string;
      readonly learning?: boolean;
      readonly proxy?: boolean;
    };
  };
}

interface IpAddress {
  readonly ifname: string;
  readonly mtu: number;
  readonly addr_info: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

const BRIDGE = /^fl-\d{1,8}$/;
const VXLAN = /^flx-\d{1,8}$/;

/** Whether fleet made the device: by its name, which the kernel keeps across restarts of everything else. */
export function isOurs(device: string): boolean {
  return BRIDGE.test(device) || VXLAN.test(device);
}

/** Fleet's bridges and VXLAN devices, and everybody else's VXLAN devices. */
export function parseLinks(text: string): {
  links: Map<string, Link>;
  foreignVxlans: { name: string; vni: number; port: number }[];
} {
  const links = new Map<string, Link>();
  const foreignVxlans: { name: string; vni: number; port: number }[] = [];
  for (const link of rows<IpLink>(text)) {
    const data = link.linkinfo?.info_data;
    const isVxlan = link.linkinfo?.info_kind === "vxlan";
    if (!isOurs(link.ifname)) {
      if (isVxlan) {
        foreignVxlans.push({ name: link.ifname, vni: data?.id ?? -1, port: data?.port ?? -1 });
      }
      continue;
    }
    links.set(link.ifname, {
      name: link.ifname,
      mac: link.address ?? "",
      mtu: link.mtu,
      up: link.flags.includes("UP"),
      master: link.master,
      ...(isVxlan
        ? {
          vxlan: {
            vni: data?.id ?? -1,
            port: data?.port ?? -1,
            local: data?.local ?? "",
            learning: data?.learning ?? false,
            proxy: data?.proxy ?? false,
          },
        }
        : {}),
    });
  }
  return { links, foreignVxlans };
}

/** IPv4 addresses with length of fleet's devices. */
export function parseAddresses(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { ifname, addr_info } of rows<IpAddress>(text)) {
    if (!isOurs(ifname)) continue;
    found.set(
      ifname,
      addr_info.flatMap(({ local, prefixlen }) => local ? [`${local}/${prefixlen}`] : []),
    );
  }
  return found;
}

/** The interface that has an address, or undefined. */
export function interfaceOf(
  text: string,
  address: string,
): { readonly name: string; readonly mtu: number } | undefined {
  const row = rows<IpAddress>(text).find(({ addr_info }) =>
    addr_info.some(({ local }) => local === address)
  );
  return row && { name: row.ifname, mtu: row.mtu };
}

/** Permanent neighbour entries of fleet's VXLAN devices. */
export function parseNeighbours(text: string): Map<string, Map<string, string>> {
  const found = new Map<string, Map<string, string>>();
  interface Row {
    readonly dst: string;
    readonly dev: string;
    readonly lladdr?: string;
    readonly state?: readonly string[];
  }
  for (const { dst, dev, lladdr, state } of rows<Row>(text)) {
    if (!VXLAN.test(dev) || !lladdr || !state?.includes("PERMANENT") || dst.includes(":")) continue;
    const of = found.get(dev) ?? new Map<string, string>();
    found.set(dev, of.set(dst, lladdr));
  }
  return found;
}

/** Entries of fleet's VXLAN devices that lead to other nodes. */
export function parseForwarding(text: string): Map<string, Map<string, string[]>> {
  const found = new Map<string, Map<string, string[]>>();
  interface Row {
    readonly mac: string;
    readonly ifname: string;
    readonly dst?: string;
  }
  for (const { mac, ifname, dst } of rows<Row>(text)) {
    if (!VXLAN.test(ifname) || dst === undefined) continue;
    const of = found.get(ifname) ?? new Map<string, string[]>();
    found.set(ifname, of.set(mac, [...of.get(mac) ?? [], dst]));
  }
  return found;
}

/**
 * Networks that the machine is on by itself, and those that it reaches through another router, the default
 * route apart; fleet's own left out. From all routes of the main table.
 */
export function parseRoutes(text: string): { readonly own: string[]; readonly routed: string[] } {
  const own = new Set<string>();
  const routed = new Set<string>();
  interface Row {
    readonly dst: string;
    readonly dev?: string;
    readonly gateway?: string;
    /** With another family's router. */
    readonly via?: unknown;
    readonly nexthops?: readonly unknown[];
    /** Absent for unicast; the others lead nowhere. */
    readonly type?: string;
  }
  for (const { dst, dev = "", gateway, via, nexthops, type } of rows<Row>(text)) {
    if (isOurs(dev) || (type ?? "unicast") !== "unicast" || !/^[\d.]+\/\d+$/.test(dst)) continue;
    (gateway ?? via ?? nexthops ? routed : own).add(dst);
  }
  return { own: [...own].sort(), routed: [...routed].sort() };
}

/** The listing of an nftables table without what changes by itself, for comparing. */
export function normalizeRuleset(text: string): string {
  const parsed = JSON.parse(text) as { nftables?: unknown[] };
  const items = (parsed.nftables ?? []).filter((item) =>
    !(typeof item === "object" && item !== null && "metainfo" in item)
  );
  return JSON.stringify(items, (key, value) => key === "handle" ? undefined : value);
}

/** iproute2 prints nothing at all instead of an empty list, and `{}` for rows it left out. */
function rows<T>(text: string): T[] {
  if (text.trim() === "") return [];
  return (JSON.parse(text) as T[]).filter((row) => Object.keys(row as object).length > 0);
}

/** Where connections go that were meant for another address, from what `conntrack -L` prints; each once. */
export function parseTranslated(text: string): string[] {
  const found = new Set<string>();
  for (const line of text.split("\n")) {
    // First as it was asked, then as it is answered.
    const [, asked, answers] = /\bdst=(\S+) .*?\bsrc=(\S+)/.exec(line) ?? [];
    if (answers !== undefined && answers !== asked) found.add(answers);
  }
  return [...found];
}
