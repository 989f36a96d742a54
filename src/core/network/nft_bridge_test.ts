import { match, strictEqual } from "node:assert/strict";
import type { PublishedServer } from "./balancer.ts";
import { desiredState } from "./desired.ts";
import { nftBridgeScript } from "./nft_bridge.ts";

const state = (
  source?: "node-local" | "preserve",
  protocol: PublishedServer["protocol"] = "tcp",
) => {
  const port = {
    protocol,
    published: 8080,
    target: 80,
    ...(source ? { source } : {}),
  };
  const published: PublishedServer[] = [{ ...port, name: "web", reals: [] }];
  const ingress = {
    name: "ingress",
    vni: 4096,
    port: 4789,
    subnet: "10.0.0.0/24",
    gateway: "10.0.0.2",
    internal: false,
    ingress: true as const,
    peers: [],
  };
  return {
    ...desiredState(
      { networks: new Map([["net", ingress]]), endpoints: new Map(), services: new Map() },
      { nodeId: "n1", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 },
    ),
    published,
  };
};

Deno.test("only ports that preserve on any node need the bridge to remember", () => {
  strictEqual(nftBridgeScript(state()), undefined);
  strictEqual(nftBridgeScript(state("node-local")), undefined);
  const script = nftBridgeScript(state("preserve")) ?? "";
  match(
    script,
    /iifname "flx-4096" .* ip saddr != 10\.0\.0\.0\/24 .* tcp dport \{ 80 \} update @entries/,
  );
  match(script, /iifname != "flx-4096" .* tcp sport \{ 80 \} ether daddr set .* map @entries/);
  // Run again it forgets nothing.
  strictEqual(script.includes("delete"), false);
});

Deno.test("the bridge remembers for every protocol that can be published", () => {
  for (const protocol of ["tcp", "udp", "sctp"] as const) {
    const script = nftBridgeScript(state("preserve", protocol)) ?? "";
    match(script, new RegExp(` ${protocol} dport { 80 } update @entries`));
    match(script, new RegExp(` ${protocol} sport { 80 } ether daddr set `));
  }
});
