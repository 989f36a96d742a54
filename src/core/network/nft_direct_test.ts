import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { desiredState } from "./desired.ts";
import type { DesiredNetwork } from "./desired.ts";
import { MAX_CABLES, MAX_REMOTES, nftDirectScript } from "./nft_direct.ts";

const FACTS = { nodeId: "n1", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 };
const NOTHING = "table netdev fleet\ndelete table netdev fleet\n";
const CABLE = { mac: "02:42:0a:00:01:0a", device: "veth1" };

/** One network: here a task and a container outside services, on n2 `far` tasks. */
function network(far: number): DesiredNetwork {
  const at = (nodeId: string, address: string) => ({
    nodeId,
    names: [],
    addresses: [{ networkId: "net", address }],
    serving: true,
  });
  const endpoints = new Map<string, ReturnType<typeof at> & { container?: string }>([
    ["t1", at("n1", "10.0.1.10")],
    // It has no cable yet, and nobody says when it gets one but by the next endpoint.
    ["t2", { ...at("n1", "10.0.1.12"), serving: false }],
    ["c1", { ...at("n1", "10.0.1.11"), container: "somebodys" }],
  ]);
  for (let i = 0; i < far; i++) {
    endpoints.set(`far${i}`, at("n2", `10.0.${2 + Math.floor(i / 250)}.${i % 250}`));
  }
  const peers = [{ nodeId: "n2", addr: "192.168.1.2", gateway: "10.0.1.3" }];
  const told = { name: "net", vni: 4097, port: 4789, subnet: "10.0.0.0/16", internal: false };
  const networks = new Map([["net", { ...told, gateway: "10.0.1.2", peers }]]);
  return desiredState({ networks, endpoints, services: new Map() }, FACTS).networks[0]!;
}

Deno.test("the short cut: between a task's cable and other nodes, and nothing else", () => {
  const script = nftDirectScript([network(1)], new Map([["fl-4097", [CABLE]]]));
  ok(script.startsWith(NOTHING), "what was before goes in the same step");
  match(script, /chain out-4097 \{\n.*devices = \{ "veth1" \}/);
  match(script, /set far-4097 \{\n.*\n +elements = \{ 02:42:0a:00:01:03, 02:42:0a:00:02:00 \}/);
  match(script, /ether daddr @far-4097 counter fwd to "flx-4097"/);
  match(script, /chain in-4097 \{\n.*device "flx-4097"/);
  // Only from those to whom answers go the same way.
  match(
    script,
    /ether saddr @far-4097 counter fwd to ether daddr map \{ 02:42:0a:00:01:0a : "veth1" \}/,
  );
  strictEqual(script.match(/meta protocol @lease /g)?.length, 2, "nothing without the lease");
  // Clients that keep their address come from outside the subnet: the bridge has to see those.
  strictEqual(script.match(/ip saddr 10\.0\.0\.0\/16 ip daddr 10\.0\.0\.0\/16 /g)?.length, 2);
  ok(!script.includes("02:42:0a:00:01:02"), "not what is for the bridge itself");
});

Deno.test("the short cut: for tasks that run, and not for containers outside services", () => {
  deepStrictEqual(network(0).tasks, ["10.0.1.10"]);
});

Deno.test("the short cut: none where nobody is, or more than can be listed", () => {
  const one = new Map([["fl-4097", [CABLE]]]);
  strictEqual(nftDirectScript([], new Map()), NOTHING);
  strictEqual(nftDirectScript([network(1)], new Map()), NOTHING);
  strictEqual(nftDirectScript([network(MAX_REMOTES)], one), NOTHING, "with the node's own address");
  ok(nftDirectScript([network(MAX_REMOTES - 1)], one) !== NOTHING);
  const many = Array.from({ length: MAX_CABLES + 1 }, (_, i) => ({ ...CABLE, device: `veth${i}` }));
  strictEqual(nftDirectScript([network(1)], new Map([["fl-4097", many]])), NOTHING);
});
