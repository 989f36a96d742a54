import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { portOwners } from "./balancer.ts";
import { desiredState } from "./desired.ts";
import type { NodeFacts } from "./desired.ts";
import { ipvsServices } from "./ipvs.ts";
import { nftRuleset } from "./nft_ruleset.ts";
import type { ObservedState } from "./observed.ts";
import { assume, describeOperation, planOperations } from "./operations.ts";
import type { Picture } from "./picture.ts";
import { NOTHING_OBSERVED } from "../../../tests/support/observed_state.ts";

const FACTS: NodeFacts = {
  nodeId: "n1",
  dataPathAddr: "192.168.1.1",
  dataPathMtu: 1500,
  apiPort: 2377,
};

/** `count` networks; on each a task here and one on n2, and a service of both with a published port. */
function picture(count: number, ingress = -1): Picture {
  const networks = new Map();
  const endpoints = new Map();
  const services = new Map();
  for (let i = 0; i < count; i++) {
    networks.set(`net${i}`, {
      name: `name${i}`,
      vni: 4096 + i,
      port: 4789,
      subnet: `10.0.${i}.0/24`,
      gateway: `10.0.${i}.2`,
      internal: false,
      ...(i === ingress ? { ingress: true } : {}),
      peers: [{ nodeId: "n2", addr: "192.168.1.2", gateway: `10.0.${i}.3` }],
    });
    for (const [at, nodeId] of ["n1", "n2"].entries()) {
      endpoints.set(`t${i}${nodeId}`, {
        nodeId,
        serviceId: `s${i}`,
        names: [],
        addresses: [{ networkId: `net${i}`, address: `10.0.${i}.${10 + at}` }],
        serving: true,
      });
    }
    services.set(`s${i}`, {
      name: `web${i}`,
      networks: [{ networkId: `net${i}`, aliases: [], vip: `10.0.${i}.5` }],
      ...(i === ingress ? { ports: [{ protocol: "tcp", published: 8080, target: 80 }] } : {}),
    });
  }
  return { networks, endpoints, services };
}

Deno.test("network operations: from nothing to everything, then nothing is left to do", () => {
  const desired = desiredState(picture(2), FACTS);
  const { operations, problems } = planOperations(desired, NOTHING_OBSERVED);
  strictEqual(problems.size, 0);
  const words = operations.map(describeOperation);
  ok(words.includes("create engine network name0"));
  ok(words.includes("add device flx-4096"));
  ok(words.includes("add forwarding 02:42:0a:00:00:0b to 192.168.1.2 on flx-4096"));
  deepStrictEqual(planOperations(desired, assume(desired, NOTHING_OBSERVED)).operations, []);
});

Deno.test("network operations: whatever was there before, one pass ends where another has nothing to do", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 4 }),
    fc.integer({ min: 0, max: 4 }),
    fc.subarray(["links", "addresses", "neighbours", "forwarding", "engineNetworks"] as const),
    (before, now, lost) => {
      const had = assume(desiredState(picture(before), FACTS), NOTHING_OBSERVED);
      const blank = Object.fromEntries(
        lost.map((part) => [part, part === "engineNetworks" ? [] : new Map()]),
      );
      const desired = desiredState(picture(now), FACTS);
      const observed: ObservedState = { ...had, ...blank };
      const { operations } = planOperations(desired, observed);
      deepStrictEqual(planOperations(desired, assume(desired, observed)).operations, []);
      // What is wanted and was there untouched is not touched.
      if (lost.length === 0) {
        for (const operation of operations) {
          if (!("network" in operation)) continue;
          ok(Number(operation.network.slice(3)) >= before, describeOperation(operation));
        }
      }
    },
  ));
});

Deno.test("network operations: what was made just now and is not needed any more can be removed", () => {
  const desired = desiredState(picture(1), FACTS);
  const { operations } = planOperations(
    desiredState(picture(0), FACTS),
    assume(desired, NOTHING_OBSERVED),
  );
  const removal = operations.find(({ op }) => op === "remove-engine-network");
  // The engine has not been asked since, so it is called by its name.
  ok(removal?.op === "remove-engine-network" && removal.engineId === "name0");
});

Deno.test("network operations: somebody else's device or network of that name is left alone and named", () => {
  const desired = desiredState(picture(2), FACTS);
  const { operations, problems } = planOperations(desired, {
    ...NOTHING_OBSERVED,
    foreignNames: new Set(["name0"]),
    foreignVxlans: [{ name: "vx9", vni: 4097, port: 4789 }],
  });
  deepStrictEqual(operations, []);
  match(problems.get("net0") ?? "", /local network of that name; remove it/);
  match(problems.get("net1") ?? "", /VNI 4097 is in use by device vx9/);
});

Deno.test("nftables: a virtual address and a published port reach the tasks that serve, and only those", () => {
  const base = picture(1, 0);
  const before = nftRuleset(desiredState(base, FACTS));
  match(before, /ip daddr vmap \{ 10\.0\.0\.5 : goto vip-10-0-0-5 \}/);
  match(before, /dnat to numgen inc mod 2 map \{ 0 : 10\.0\.0\.10, 1 : 10\.0\.0\.11 \}/);
  match(before, /fib daddr type local tcp dport vmap \{ 8080 : goto port-tcp-8080 \}/);
  match(before, /map \{ 0 : 10\.0\.0\.10 \. 80, 1 : 10\.0\.0\.11 \. 80 \}/);
  const drained = {
    ...base,
    endpoints: new Map(
      [...base.endpoints].map(([id, e]) => [id, { ...e, serving: e.nodeId === "n1" }]),
    ),
  };
  const after = nftRuleset(desiredState(drained, FACTS));
  match(after, /dnat to 10\.0\.0\.10:80/);
  ok(!after.includes("10.0.0.11"));
});

Deno.test("with IPVS nftables only marks, except for clients on 127.0.0.1", () => {
  const rules = nftRuleset(desiredState(picture(1, 0), FACTS), "ipvs");
  match(rules, /meta mark set iifname \. ip daddr map \{ "fl-4096" \. 10\.0\.0\.5 : 0x71000005 \}/);
  match(
    rules,
    /ip daddr != \{ 127\.0\.0\.0\/8, 10\.0\.0\.0\/24 \} .* meta mark set tcp dport map \{ 8080 : 0x70001f90 \}/,
  );
  match(rules, /ip daddr 127\.0\.0\.0\/8 tcp dport vmap \{ 8080 : goto port-tcp-8080 \}/);
  match(rules, /meta mark & 0xfe000000 == 0x70000000 .* snat to 10\.0\.0\.2/);
  ok(!rules.includes("goto vip"));
});

Deno.test("node-local: a node's own tasks only, and the client's address stays", () => {
  const base = picture(1, 0);
  const services = new Map([["s0", {
    name: "web",
    networks: [],
    ports: [{
      protocol: "tcp" as const,
      published: 8080,
      target: 80,
      source: "node-local" as const,
    }],
  }]]);
  const state = desiredState({ ...base, services }, FACTS);
  deepStrictEqual(state.published[0]?.reals, [{ address: "10.0.0.10", weight: 1 }]);
  const kept = "ip saddr != \\{ 10\\.0\\.0\\.0\\/24, 127\\.0\\.0\\.0\\/8 \\}";
  const rules = nftRuleset(state);
  match(
    rules,
    new RegExp(`${kept} ct status dnat meta l4proto tcp ct original proto-dst 8080 accept`),
  );
  ok(rules.indexOf("accept\n    oifname") > 0, "before the rule that translates");
  match(nftRuleset(state, "ipvs"), new RegExp(`${kept} meta mark 0x70001f90 accept`));
});

Deno.test("nftables: frames of overlay networks come from other nodes, and never from a container", () => {
  const rules = nftRuleset(desiredState(picture(2), FACTS));
  const input = rules.slice(rules.indexOf("chain input {"), rules.indexOf("chain forward {"));
  match(input, /iifname \{ "fl-4096", "fl-4097" \} udp dport \{ 4789 \} drop/);
  match(input, /udp dport \{ 4789 \} ip saddr != \{ 192\.168\.1\.2 \} drop/);
});

Deno.test("nftables: the managers' port is never given away, and a hostile name stays a comment", () => {
  const base = picture(1, 0);
  const services = new Map([["s0", {
    name: 'x"; flush ruleset; "',
    networks: [{ networkId: "net0", aliases: [], vip: "10.0.0.5" }],
    ports: [{ protocol: "tcp" as const, published: 2377, target: 80 }],
  }]]);
  const rules = nftRuleset(desiredState({ ...base, services }, FACTS));
  ok(!rules.includes("port-tcp-2377"));
  match(rules, /comment "x___flush_ruleset___"/);
});

Deno.test("two services with one port: the kernel hears of the older one, and the other is named", () => {
  const base = picture(2, 0);
  const ports = [{ protocol: "tcp" as const, published: 8080, target: 80 }];
  const services = new Map([
    ["s0", { name: "young", networks: [], ports, since: "2026-01-02T00:00:00.000Z" }],
    ["s1", { name: "old", networks: [], ports, since: "2026-01-01T00:00:00.000Z" }],
  ]);
  const desired = desiredState({ ...base, services }, FACTS);
  deepStrictEqual(desired.published.map(({ name }) => name), ["old"]);
  const marks = ipvsServices(desired).map(({ mark }) => mark);
  strictEqual(new Set(marks).size, marks.length);
  const { clashes } = portOwners({ ...base, services });
  deepStrictEqual([...clashes.keys()], ["tcp/8080 of young"]);
  match(
    [...clashes.values()][0]!,
    /^port 8080\/tcp of service young is not answered: service old, which is older/,
  );
  // The same number for another protocol is no clash.
  const udp = [{ ...ports[0]!, protocol: "udp" as const }];
  services.set("s1", { ...services.get("s1")!, ports: udp as never });
  strictEqual(portOwners({ ...base, services }).clashes.size, 0);
});

Deno.test("a published port 53 leaves the node's name server alone, with nftables and IPVS", () => {
  const base = picture(2, 0);
  const ports = [
    { protocol: "udp" as const, published: 53, target: 53 },
    { protocol: "tcp" as const, published: 53, target: 53 },
  ];
  const services = new Map([["s0", { name: "pihole", networks: [], ports }]]);
  const desired = desiredState({ ...base, services }, FACTS);
  for (const kind of ["nftables", "ipvs"] as const) {
    const rules = nftRuleset(desired, kind).split("\n").filter((line) =>
      line.includes("fib daddr type local") && / (udp|tcp) dport v?map /.test(line)
    );
    // Both protocols, for what comes in and what the node sends itself.
    strictEqual(rules.length, 4);
    for (const rule of rules) {
      match(rule, /ip daddr != \{ [^}]*10\.0\.0\.0\/24, 10\.0\.1\.0\/24 \} fib daddr type local/);
    }
  }
});
