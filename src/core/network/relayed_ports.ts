import type { PublishedServer } from "./balancer.ts";

/**
 * A published port that the agent answers itself, by connections of its own to the tasks: over IPv6, which
 * the kernel does not translate to the tasks' IPv4 addresses, and with the PROXY protocol over both.
 */
export interface RelayedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly service: string;
  readonly published: number;
  readonly target: number;
  /** Whether the task is told of the client by a PROXY header (version 2); TCP only. */
  readonly header: boolean;
  /**
   * Whether connections over IPv4 are relayed, too. They come here only while the kernel does not take
   * them, and may be relayed where tasks see this node's address anyway. TCP only.
   */
  readonly ipv4: boolean;
  /** Addresses of tasks that take connections, sorted; empty only while there are draining ones. */
  readonly reals: readonly string[];
  /**
   * Addresses of tasks that keep the clients that they have and get no new ones, sorted. Empty for TCP,
   * where a connection that is there needs nobody's word to go on.
   */
  readonly draining: readonly string[];
}

/** How problems of a port are told, and by what it is found among others. */
export const relayedKey = ({ protocol, published }: RelayedPort): string =>
  `${protocol}/${published}`;

/** Whether the kernel balances the port; the PROXY protocol is nothing that it could speak. */
export const isKernels = ({ source }: PublishedServer): boolean => source !== "proxy";

/**
 * Where the node's name server listens, at its IPv4 addresses on overlay networks: the relay of TCP, which
 * listens at all addresses, would keep it from new networks, and cannot have the port while it is there.
 */
export const NAME_PORT = 53;

/** What the agent relays for these ports. Ports without a task are closed. */
export function relayedPorts(published: readonly PublishedServer[]): RelayedPort[] {
  return published.flatMap((server) => server.protocol === "tcp" ? tcp(server) : others(server))
    .filter(({ reals, draining }) => reals.length + draining.length > 0);
}

function tcp({ name, published, target, source, reals }: PublishedServer): [RelayedPort] {
  return [{
    protocol: "tcp",
    service: name,
    published,
    target,
    header: source === "proxy",
    ipv4: source === undefined || source === "proxy",
    reals: reals.filter(({ weight }) => weight > 0).map(({ address }) => address),
    draining: [],
  }];
}

/** The PROXY protocol is TCP's; specs that ask other ports for it are refused. */
function others(server: PublishedServer): [RelayedPort] | [] {
  if (!isKernels(server)) return [];
  const { name, protocol, published, target, reals } = server;
  return [{
    protocol,
    service: name,
    published,
    target,
    header: false,
    ipv4: false,
    reals: reals.filter(({ weight }) => weight > 0).map(({ address }) => address),
    draining: reals.filter(({ weight }) => weight === 0).map(({ address }) => address),
  }];
}
