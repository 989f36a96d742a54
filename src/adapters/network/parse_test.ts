import { deepStrictEqual } from "node:assert/strict";
import {
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseTranslated,
} from "./parse.ts";

const json = JSON.stringify;

Deno.test("a machine's own subnets, not fleet's, apart from what is behind a router", () => {
  const link = { scope: "link", protocol: "kernel", flags: [] };
  deepStrictEqual(
    parseRoutes(json([
      { dst: "default", gateway: "192.168.1.1", dev: "eth0", flags: [] },
      { dst: "192.168.1.0/24", dev: "eth0", ...link, prefsrc: "192.168.1.7" },
      { dst: "172.17.0.0/16", dev: "docker0", ...link, flags: ["linkdown"] },
      { dst: "10.0.0.0/24", dev: "fl-4096", ...link },
      { dst: "10.8.0.0/16", dev: "eth0", gateway: "192.168.1.1", flags: [] },
      { dst: "10.7.0.0/16", nexthops: [{ gateway: "192.168.1.1", dev: "eth0" }], flags: [] },
      { type: "blackhole", dst: "10.6.0.0/16", flags: [] },
      { dst: "192.168.1.9", dev: "eth0", ...link },
      { dst: "default", dev: "ppp0", ...link },
    ])),
    { own: ["172.17.0.0/16", "192.168.1.0/24"], routed: ["10.7.0.0/16", "10.8.0.0/16"] },
  );
  // What iproute2 prints when there is nothing, and for rows that it left out.
  for (const nothing of ["", "\n", "[]", "[{},{}]"]) {
    deepStrictEqual(parseRoutes(nothing), { own: [], routed: [] });
  }
});

Deno.test("devices: fleet's by their names, VXLAN devices of others apart", () => {
  const info_data = { id: 9, port: 4789, local: "10.9.9.1", learning: false, proxy: true };
  const vxlan = { mtu: 1450, flags: ["UP"], linkinfo: { info_kind: "vxlan", info_data } };
  const { links, foreignVxlans } = parseLinks(json([
    { ifname: "eth0", mtu: 1500, flags: ["UP"] },
    { ifname: "flannel.1", ...vxlan },
    { ifname: "flx-9", master: "fl-9", address: "02:00:00:00:00:09", ...vxlan },
    { ifname: "fl-9-of-mine", mtu: 1500, flags: [] },
  ]));
  deepStrictEqual(foreignVxlans, [{ name: "flannel.1", vni: 9, port: 4789 }]);
  deepStrictEqual([...links.keys()], ["flx-9"]);
  deepStrictEqual(links.get("flx-9")?.vxlan, {
    vni: 9,
    port: 4789,
    local: "10.9.9.1",
    learning: false,
    proxy: true,
  });
});

Deno.test("entries: the permanent ones of fleet's devices, and only those that lead elsewhere", () => {
  const lladdr = "02:42:0a:00:00:0b";
  const neighbour = { dst: "10.0.0.11", dev: "flx-9", lladdr, state: ["PERMANENT"] };
  deepStrictEqual(
    parseNeighbours(json([
      neighbour,
      { ...neighbour, dst: "10.0.0.12", state: ["STALE"] },
      { ...neighbour, dst: "fe80::1" },
      { ...neighbour, dev: "eth0" },
    ])),
    new Map([["flx-9", new Map([["10.0.0.11", lladdr]])]]),
  );
  deepStrictEqual(
    parseForwarding(json([
      { mac: lladdr, ifname: "flx-9", dst: "192.168.1.2" },
      { mac: lladdr, ifname: "flx-9", dst: "192.168.1.3" },
      { mac: "33:33:00:00:00:01", ifname: "flx-9" },
      { mac: lladdr, ifname: "vxlan7", dst: "192.168.1.2" },
    ])),
    new Map([["flx-9", new Map([[lladdr, ["192.168.1.2", "192.168.1.3"]]])]]),
  );
});

Deno.test("connections that were translated are told from others", () => {
  const text = [
    "tcp 6 103 SYN_SENT src=10.88.0.254 dst=10.88.0.1 sport=46380 dport=8080 [UNREPLIED] src=10.0.0.4 dst=10.0.0.2 sport=80 dport=46380 mark=0 use=1",
    "udp 17 12 src=10.0.0.9 dst=10.0.0.7 sport=1 dport=53 src=10.0.0.7 dst=10.0.0.9 sport=53 dport=1 mark=0 use=1",
    "udp 17 12 src=10.0.0.9 dst=10.0.0.5 sport=2 dport=53 src=10.0.0.4 dst=10.0.0.9 sport=53 dport=2 mark=0 use=1",
    "",
  ].join("\n");
  deepStrictEqual(parseTranslated(text), ["10.0.0.4"]);
});
