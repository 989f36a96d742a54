import type { PublishedServer, RealServer, VirtualServer } from "./balancer.ts";

/** What a node balances, in numbers. */
export interface Balancing {
  /** Addresses of services, on each network of the node. */
  readonly services: Balanced;
  /** Ports that the node answers. */
  readonly ports: Balanced;
}

export interface Balanced {
  readonly servers: number;
  /** Tasks behind them that get connections: weight 1. */
  readonly serving: number;
  /** Tasks that keep the connections they have and get none: weight 0. */
  readonly draining: number;
  /** Servers behind which nobody serves: whoever connects is refused. */
  readonly empty: number;
}

const NONE: Balanced = { servers: 0, serving: 0, draining: 0, empty: 0 };
export const NOTHING_BALANCED: Balancing = { services: NONE, ports: NONE };

export function countBalancing(
  { balancers, published }: {
    readonly balancers: readonly VirtualServer[];
    readonly published: readonly PublishedServer[];
  },
): Balancing {
  return { services: count(balancers), ports: count(published) };
}

function count(servers: readonly { readonly reals: readonly RealServer[] }[]): Balanced {
  let [serving, draining, empty] = [0, 0, 0];
  for (const { reals } of servers) {
    const here = reals.filter(({ weight }) => weight > 0).length;
    serving += here;
    draining += reals.length - here;
    if (here === 0) empty++;
  }
  return { servers: servers.length, serving, draining, empty };
}
