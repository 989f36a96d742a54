import { ipv4ToInt } from "../../base/cidr.ts";
import type { PublishedServer, VirtualServer } from "./balancer.ts";
import type { DesiredState } from "./desired.ts";

/**
 * A virtual service of IPVS that is chosen by the firewall mark of a packet; nftables sets the marks. So
 * one service answers on every address of the node, or on every port of a virtual address.
 */
export interface IpvsService {
  readonly mark: number;
  readonly scheduler: string;
  /** Sorted by address and port. */
  readonly reals: readonly IpvsReal[];
}

export interface IpvsReal {
  readonly address: string;
  /** 0 for the port that was asked for. */
  readonly port: number;
  readonly weight: number;
  /** Whether addresses are translated (`-m`); other ways of forwarding are not fleet's. */
  readonly masquerades: boolean;
}

/** One line for `ipvsadm -R`. */
export type IpvsOperation =
  | { readonly op: "add-service" | "edit-service"; readonly mark: number }
  | { readonly op: "remove-service"; readonly mark: number }
  | {
    readonly op: "add-real" | "edit-real" | "remove-real";
    readonly mark: number;
    readonly real: IpvsReal;
  };

/** Each real server in its turn: connections differ little, and weights are 1 or 0. */
const SCHEDULER = "rr";
/** Below 2^31: `ipvsadm` prints marks as signed numbers. */
const PORT_MARKS = 0x7000_0000;
const VIP_MARKS = 0x7100_0000;
const LOW_BITS = 0x00ff_ffff;
/** Marks of fleet as nftables compares them: these bits have this value. */
export const OWN_MARKS = { mask: 0xfe00_0000, value: PORT_MARKS } as const;

const PROTOCOLS = { tcp: 0, udp: 1, sctp: 2 } as const;

/** Whether a mark is one of fleet's; all others are somebody else's. */
export function isOwnMark(mark: number): boolean {
  return mark >= PORT_MARKS && mark <= VIP_MARKS + LOW_BITS;
}

/** The mark of what is sent to a published port. */
export function portMark(
  { protocol, published }: Pick<PublishedServer, "protocol" | "published">,
): number {
  return PORT_MARKS + PROTOCOLS[protocol] * 0x1_0000 + published;
}

/**
 * The marks of virtual addresses by address: their low 24 bits, which are unique within 10.0.0.0/8; of
 * two that are not, the higher address gets the next free mark.
 */
export function vipMarks(balancers: readonly VirtualServer[]): Map<string, number> {
  const marks = new Map<string, number>();
  const taken = new Set<number>();
  const numbered = balancers.map(({ address }) => ({ address, value: ipv4ToInt(address) ?? 0 }))
    .sort((a, b) => a.value - b.value);
  for (const { address, value } of numbered) {
    if (marks.has(address)) continue;
    let low = value % (LOW_BITS + 1);
    while (taken.has(low)) low = (low + 1) % (LOW_BITS + 1);
    taken.add(low);
    marks.set(address, VIP_MARKS + low);
  }
  return marks;
}

/** What IPVS shall hold, sorted by mark; servers with nobody behind them are left out. */
export function ipvsServices({ balancers, published }: DesiredState): IpvsService[] {
  const marks = vipMarks(balancers);
  const service = (mark: number, { reals }: VirtualServer | PublishedServer, port: number) => ({
    mark,
    scheduler: SCHEDULER,
    reals: reals.map(({ address, weight }) => ({ address, port, weight, masquerades: true }))
      .sort(byAddress),
  });
  return [
    ...published.map((server) => service(portMark(server), server, server.target)),
    ...balancers.map((server) => service(marks.get(server.address) ?? 0, server, 0)),
  ].filter(({ reals }) => reals.length > 0).sort((a, b) => a.mark - b.mark);
}

/** The steps from what the kernel holds to what it shall hold; services of others are not touched. */
export function planIpvs(
  desired: readonly IpvsService[],
  observed: readonly IpvsService[],
): IpvsOperation[] {
  const operations: IpvsOperation[] = [];
  const wanted = new Map(desired.map((service) => [service.mark, service]));
  const had = new Map(observed.map((service) => [service.mark, service]));
  for (const { mark } of observed) {
    if (isOwnMark(mark) && !wanted.has(mark)) operations.push({ op: "remove-service", mark });
  }
  for (const { mark, scheduler, reals } of desired) {
    const known = had.get(mark);
    if (!known) operations.push({ op: "add-service", mark });
    else if (known.scheduler !== scheduler) operations.push({ op: "edit-service", mark });
    const before = new Map((known?.reals ?? []).map((real) => [keyOf(real), real]));
    // First what is new: a service is never without anybody while it changes.
    for (const real of reals) {
      const old = before.get(keyOf(real));
      before.delete(keyOf(real));
      if (!old) operations.push({ op: "add-real", mark, real });
      else if (old.weight !== real.weight || !old.masquerades) {
        operations.push({ op: "edit-real", mark, real });
      }
    }
    for (const real of before.values()) operations.push({ op: "remove-real", mark, real });
  }
  return operations;
}

/** The operation as `ipvsadm -R` reads it. */
export function ipvsLine(operation: IpvsOperation): string {
  const { op, mark } = operation;
  switch (op) {
    case "add-service":
      return `-A -f ${mark} -s ${SCHEDULER}`;
    case "edit-service":
      return `-E -f ${mark} -s ${SCHEDULER}`;
    case "remove-service":
      return `-D -f ${mark}`;
    case "remove-real":
      return `-d -f ${mark} -r ${keyOf(operation.real)}`;
    case "add-real":
    case "edit-real": {
      const flag = op === "add-real" ? "-a" : "-e";
      return `${flag} -f ${mark} -r ${keyOf(operation.real)} -m -w ${operation.real.weight}`;
    }
  }
}

/** What `ipvsadm -Sn` tells of services by mark; those by address are somebody else's and left out. */
export function parseIpvs(text: string): IpvsService[] {
  const services = new Map<number, { scheduler: string; reals: IpvsReal[] }>();
  for (const line of text.split("\n")) {
    const words = line.trim().split(/\s+/);
    const after = (flag: string) => {
      const at = words.indexOf(flag);
      return at < 0 ? undefined : words[at + 1];
    };
    const mark = Number(after("-f") ?? NaN);
    if (!Number.isInteger(mark)) continue;
    if (words[0] === "-A") services.set(mark, { scheduler: after("-s") ?? "", reals: [] });
    if (words[0] !== "-a") continue;
    const [address = "", port = "0"] = (after("-r") ?? "").split(":");
    services.get(mark)?.reals.push({
      address,
      port: Number(port),
      weight: Number(after("-w") ?? 1),
      masquerades: words.includes("-m"),
    });
  }
  return [...services].map(([mark, { scheduler, reals }]) => ({
    mark,
    scheduler,
    reals: reals.sort(byAddress),
  })).sort((a, b) => a.mark - b.mark);
}

const keyOf = ({ address, port }: IpvsReal) => `${address}:${port}`;

function byAddress(a: IpvsReal, b: IpvsReal): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port;
}
