import type { DesiredState } from "./desired.ts";
import { TABLE } from "./nft_ruleset.ts";

/** Connections by which nodes are remembered; each is forgotten when nothing came for a while. */
const MAX_CONNECTIONS = 65_536;
const FORGET_AFTER = "10m";

export const NO_BRIDGE_RULES = `table bridge ${TABLE}\ndelete table bridge ${TABLE}\n`;

/**
 * For published ports that keep their clients' addresses on any node (`preserve`): a script that makes
 * the mesh's bridge remember by which node a client's packets came, and hand what a task answers to that
 * node, instead of to this one, which knows nothing of the connection. Only the frame's destination
 * changes. It may be run again at any time: what is remembered stays. Undefined when no port asks for it;
 * {@link NO_BRIDGE_RULES} takes it away.
 *
 * By frames, not by connections, since not every kernel tracks connections on bridges.
 */
export function nftBridgeScript({ networks, published }: DesiredState): string | undefined {
  const ingress = networks.find((network) => network.ingress);
  const kept = published.filter(({ source }) => source === "preserve");
  if (!ingress || kept.length === 0) return undefined;
  const { subnet, vxlan } = ingress;
  const lines = [
    `table bridge ${TABLE} {`,
    "  map entries {",
    "    typeof ip saddr . th sport . ip daddr : ether saddr",
    "    flags dynamic,timeout",
    `    timeout ${FORGET_AFTER}`,
    `    size ${MAX_CONNECTIONS}`,
    "  }",
    "  chain preserve {",
    "    type filter hook prerouting priority -100; policy accept;",
    "  }",
    "}",
    `flush chain bridge ${TABLE} preserve`,
    `table bridge ${TABLE} {`,
    "  chain preserve {",
  ];
  for (const protocol of ["tcp", "udp", "sctp"]) {
    const ports = [
      ...new Set(kept.filter((port) => port.protocol === protocol).map(({ target }) => target)),
    ].join(", ");
    if (ports === "") continue;
    const outside = `ether type ip ip saddr != ${subnet} ip daddr ${subnet}`;
    const answer = `ether type ip ip saddr ${subnet} ip daddr != ${subnet}`;
    lines.push(
      `    iifname "${vxlan}" ${outside} ${protocol} dport { ${ports} } update @entries { ip saddr . th sport . ip daddr : ether saddr }`,
      `    iifname != "${vxlan}" ${answer} ${protocol} sport { ${ports} } ether daddr set ip daddr . th dport . ip saddr map @entries`,
    );
  }
  return [...lines, "  }", "}"].join("\n") + "\n";
}
