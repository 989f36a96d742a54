import type { PublishedServer } from "./balancer.ts";

/**
 * A published port that the agent answers itself, by connections of its own to the tasks: over IPv6, which
 * the kernel does not translate to the tasks' IPv4 addresses, and with the PROXY protocol over both.
 */
export interface RelayedPort {
  readonly service: string;
  readonly published: number;
  readonly target: number;
  /** Whether the task is told of the client by a PROXY header (version 2). */
  readonly header: boolean;
  /**
   * Whether connections over IPv4 are relayed, too. They come here only while the kernel does not take
   * them, and may be relayed where tasks see this node's address anyway.
   */
  readonly ipv4: boolean;
  /** Addresses of tasks that take connections, sorted; never empty. */
  readonly reals: readonly string[];
}

/** Whether the kernel balances the port; the PROXY protocol is nothing that it could speak. */
export const isKernels = ({ source }: PublishedServer): boolean => source !== "proxy";

/**
 * Where the node's name server listens, at its addresses on overlay networks: the relay, which listens at
 * all addresses, would keep it from new networks, and cannot have the port while it is there.
 */
export const NAME_PORT = 53;

/** What the agent relays for these ports; TCP only. Ports without a task are closed. */
export function relayedPorts(published: readonly PublishedServer[]): RelayedPort[] {
  return published.filter(({ protocol }) => protocol === "tcp").map((
    { name, published, target, source, reals },
  ) => ({
    service: name,
    published,
    target,
    header: source === "proxy",
    ipv4: source === undefined || source === "proxy",
    reals: reals.filter(({ weight }) => weight > 0).map(({ address }) => address),
  })).filter(({ reals }) => reals.length > 0);
}
