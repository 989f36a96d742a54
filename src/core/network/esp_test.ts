import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { NetworkKey } from "../../model/session.ts";
import { desiredState } from "./desired.ts";
import type { DesiredNetwork } from "./desired.ts";
import { desiredEsp, parseAssociations, parsePolicies, planEsp, spiOf } from "./esp.ts";
import type { EspState } from "./esp.ts";
import { nftRuleset } from "./nft_ruleset.ts";

const key = (id: number): NetworkKey => ({ id, key: `key${id}` });
const derive = ({ id }: NetworkKey, src: string, dst: string) =>
  `0x${id}${src.replaceAll(".", "")}${dst.replaceAll(".", "")}`;
const NONE: EspState = { associations: [], policies: [] };

function networks(local: string, peers: string[], ids: number[]): readonly DesiredNetwork[] {
  const encryption = { keys: ids.map(key), primary: ids.at(-2)! };
  return desiredState({
    networks: new Map([["net", {
      name: "back",
      vni: 4096,
      port: 4790,
      subnet: "10.0.0.0/24",
      gateway: "10.0.0.2",
      internal: false,
      encryption,
      peers: peers.map((addr, i) => ({ nodeId: `n${i}`, addr, gateway: `10.0.0.${i + 3}` })),
    }]]),
    endpoints: new Map(),
    services: new Map(),
  }, { nodeId: "n0", dataPathAddr: local, dataPathMtu: 1500, apiPort: 2377 }).networks;
}

/** The kernel's tables, moved by lines of `ip -batch` and printed as `ip xfrm` does. */
class Kernel {
  readonly states = new Map<string, string>();
  readonly policies = new Map<string, string>();
  read(line: string): void {
    const state =
      /^xfrm state (add|delete) (src \S+ dst \S+) proto esp (spi \S+)(?: reqid \d+ mode transport aead (.*))?$/
        .exec(line);
    const policy =
      /^xfrm policy (update|delete) (src .* dport \d+) dir (\w+)(?: tmpl (src \S+ dst \S+) (.*))?$/
        .exec(line);
    if (state) {
      const [, verb, ends = "", spi = "", aead = ""] = state;
      const id = `${ends}/${spi}`;
      if (verb === "delete") return ok(this.states.delete(id), line);
      ok(!this.states.has(id), `${line}: exists`);
      this.states.set(
        id,
        `${ends}\n\tproto esp ${spi} reqid 990951 mode transport\n\treplay-window 0 \n\taead ${aead}\n\tsel src 0.0.0.0/0 dst 0.0.0.0/0 \n`,
      );
    } else if (policy) {
      const [, verb, selector = "", dir, ends = "", rest = ""] = policy;
      const id = `${dir} ${selector}`;
      if (verb === "delete") return ok(this.policies.delete(id), line);
      this.policies.set(
        id,
        `${selector} \n\tdir ${dir} priority 0 \n\ttmpl ${ends}\n\t\t${rest}\n`,
      );
    } else throw new Error(`ip does not know: ${line}`);
  }
  observe(): EspState {
    const foreign = "src 10.9.9.9 dst 10.9.9.8\n\tproto esp spi 0x00000101 reqid 1 mode tunnel\n";
    return {
      associations: parseAssociations(foreign + [...this.states.values()].join("")),
      policies: parsePolicies([...this.policies.values()].join("")),
    };
  }
}

Deno.test("both ends of a pair have the same associations, and a policy for each direction", () => {
  const here = desiredEsp(networks("192.168.1.1", ["192.168.1.2"], [1, 2, 3]), derive);
  const there = desiredEsp(networks("192.168.1.2", ["192.168.1.1"], [1, 2, 3]), derive);
  deepStrictEqual(here.associations, there.associations);
  strictEqual(here.associations.length, 6);
  strictEqual(new Set(here.associations.map(({ key }) => key)).size, 6);
  deepStrictEqual(here.policies.map(({ dir, src, dst, port }) => [dir, src, dst, port]), [
    ["in", "192.168.1.2", "192.168.1.1", 4790],
    ["out", "192.168.1.1", "192.168.1.2", 4790],
  ]);
});

Deno.test("the lines lead to what is desired, then there are none; others' associations stay", () => {
  const kernel = new Kernel();
  const first = desiredEsp(
    networks("192.168.1.1", ["192.168.1.2", "192.168.1.3"], [1, 2, 3]),
    derive,
  );
  for (const line of planEsp(first, kernel.observe())) kernel.read(line);
  deepStrictEqual(planEsp(first, kernel.observe()), []);
  const changed = desiredEsp(networks("192.168.1.1", ["192.168.1.3"], [2, 3, 4]), derive);
  for (const line of planEsp(changed, kernel.observe())) kernel.read(line);
  deepStrictEqual(kernel.observe(), changed);
  for (const line of planEsp(NONE, kernel.observe())) kernel.read(line);
  deepStrictEqual(kernel.observe(), NONE);
});

Deno.test("a rotation adds before it sends, and removes last", () => {
  const at = (ids: number[]) => desiredEsp(networks("192.168.1.1", ["192.168.1.2"], ids), derive);
  const lines = planEsp(at([2, 3, 4]), at([1, 2, 3]));
  deepStrictEqual(lines.map((line) => line.split(" ").slice(0, 3).join(" ")), [
    "xfrm state add",
    "xfrm state add",
    "xfrm policy update",
    "xfrm state delete",
    "xfrm state delete",
  ]);
  const sending = spiOf(3, "192.168.1.1", "192.168.1.2").toString(16);
  match(lines[2]!, new RegExp(`dir out .* spi 0x${sending} `));
});

Deno.test("an association with another key is made anew", () => {
  const desired = desiredEsp(networks("192.168.1.1", ["192.168.1.2"], [1, 2, 3]), derive);
  const [first, ...rest] = desired.associations;
  const lines = planEsp(desired, {
    ...desired,
    associations: [{ ...first!, key: "0xbad" }, ...rest],
  });
  deepStrictEqual(lines.map((line) => line.split(" ")[2]), ["delete", "add"]);
});

Deno.test("an encrypted network has room for ESP, and nothing of it may leave in clear", () => {
  const [network] = networks("192.168.1.1", ["192.168.1.2"], [1, 2, 3]);
  strictEqual(network!.mtu, 1500 - 50 - 38);
  const facts = { nodeId: "n0", dataPathAddr: "192.168.1.1", dataPathMtu: 1500, apiPort: 2377 };
  const state = {
    networks: [network!],
    balancers: [],
    published: [],
    peers: ["192.168.1.2"],
    facts,
  };
  match(nftRuleset(state), /udp dport \{ 4790 \} rt ipsec missing drop/);
  const { encryption: _, ...clear } = network!;
  ok(!nftRuleset({ ...state, networks: [clear] }).includes("ipsec"));
});
