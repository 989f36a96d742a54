import { match, strictEqual } from "node:assert/strict";
import { desiredState } from "./desired.ts";
import { nftMemoryScript } from "./nft_memory.ts";

const network = (vni: number) => ({
  name: `net${vni}`,
  vni,
  port: 4789,
  subnet: "10.0.0.0/24",
  gateway: "10.0.0.2",
  internal: false,
  peers: [],
});
const script = (...vnis: number[]) =>
  nftMemoryScript(desiredState(
    {
      networks: new Map(vnis.map((vni) => [`n${vni}`, network(vni)])),
      endpoints: new Map(),
      services: new Map(),
    },
    { nodeId: "n1", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 },
  ));

Deno.test("what goes to tasks on any of the node's networks is remembered briefly", () => {
  match(script(4096, 4097), /oifname \{ "fl-4096", "fl-4097" \} .* ct timeout set "brief"/);
  // Run again it adds no second rule.
  match(script(4096), /flush chain inet fleet memory\n[^]*ct timeout set/);
});

Deno.test("a node without networks keeps none of it", () => {
  strictEqual(script(), "table inet fleet\ndelete table inet fleet\n");
});
