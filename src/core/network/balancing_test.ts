import { deepStrictEqual } from "node:assert/strict";
import type { PublishedServer, VirtualServer } from "./balancer.ts";
import { countBalancing } from "./balancing.ts";

const reals = (...weights: number[]) =>
  weights.map((weight, i) => ({ address: `10.0.0.${i + 2}`, weight }));

Deno.test("tasks are counted by weight, and servers that nobody serves", () => {
  const server = (...weights: number[]) => ({ reals: reals(...weights) });
  const counted = countBalancing({
    balancers: [server(1, 1, 0), server(1)] as unknown as VirtualServer[],
    published: [server(0), server()] as unknown as PublishedServer[],
  });
  deepStrictEqual(counted, {
    services: { servers: 2, serving: 3, draining: 1, empty: 0 },
    ports: { servers: 2, serving: 0, draining: 1, empty: 2 },
  });
});
