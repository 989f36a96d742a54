import type { PublishedServer, VirtualServer } from "./balancer.ts";
import type { DesiredState } from "./desired.ts";

/** The one table that is fleet's in the host's nftables. */
export const TABLE = "fleet";

/**
 * The rules of this node as a script for `nft -f`, which puts all of it in force at once: virtual
 * addresses, and what containers of overlay networks may not reach.
 *
 * Connections that exist keep their real server (conntrack remembers it), so a task that is not in the
 * new rules any more drains.
 */
export function nftRuleset(state: DesiredState): string {
  const lines = [`table ip ${TABLE}`, `delete table ip ${TABLE}`];
  if (state.networks.length === 0) return lines.join("\n") + "\n";
  lines.push(
    `table ip ${TABLE} {`,
    ...balancerChains(state.balancers),
    ...publishedChains(state.published),
    ...natChains(state),
    ...filterChains(state),
    "}",
  );
  return lines.join("\n") + "\n";
}

function balancerChains(balancers: readonly VirtualServer[]): string[] {
  return balancers.flatMap((server) => {
    const reals = server.reals.filter(({ weight }) => weight > 0);
    if (reals.length === 0) return [];
    const choice = reals.map(({ address }, i) => `${i} : ${address}`).join(", ");
    return [
      `  chain ${chainOf(server)} {`,
      `    comment "${safe(server.name)}"`,
      reals.length === 1
        ? `    dnat to ${reals[0]!.address}`
        : `    dnat to numgen inc mod ${reals.length} map { ${choice} }`,
      "  }",
    ];
  });
}

function publishedChains(published: readonly PublishedServer[]): string[] {
  return published.flatMap((server) => {
    const reals = server.reals.filter(({ weight }) => weight > 0);
    if (reals.length === 0) return [];
    const choice = reals.map(({ address }, i) => `${i} : ${address} . ${server.target}`).join(", ");
    return [
      `  chain ${publishedChain(server)} {`,
      `    comment "${safe(server.name)}"`,
      reals.length === 1
        ? `    meta l4proto ${server.protocol} dnat to ${reals[0]!.address}:${server.target}`
        : `    meta l4proto ${server.protocol} dnat ip addr . port to numgen inc mod ${reals.length} map { ${choice} }`,
      "  }",
    ];
  });
}

function natChains({ balancers, networks, published }: DesiredState): string[] {
  const jumps = balancers.filter(({ reals }) => reals.some(({ weight }) => weight > 0));
  // Whichever of its addresses a node is asked at, and also from the node itself.
  const meshed = published.filter(({ reals }) => reals.some(({ weight }) => weight > 0)).map(
    (server) =>
      `    fib daddr type local ${server.protocol} dport ${server.published} goto ${
        publishedChain(server)
      }`,
  );
  return [
    "  chain prerouting {",
    "    type nat hook prerouting priority -110; policy accept;",
    ...jumps.map((server) =>
      `    iifname "${server.bridge}" ip daddr ${server.address} goto ${chainOf(server)}`
    ),
    ...meshed,
    "  }",
    "  chain output {",
    "    type nat hook output priority -110; policy accept;",
    ...jumps.map((server) => `    ip daddr ${server.address} goto ${chainOf(server)}`),
    ...meshed,
    "  }",
    "  chain postrouting {",
    "    type nat hook postrouting priority 90; policy accept;",
    // Replies have to come back through here, or the client gets them from a stranger.
    ...networks.map((network) =>
      `    oifname "${network.bridge}" ct status dnat ip daddr ${network.subnet} snat to ${network.gateway}`
    ),
    "  }",
  ];
}

function filterChains({ networks, balancers, peers, facts }: DesiredState): string[] {
  const idle = balancers.filter(({ reals }) => !reals.some(({ weight }) => weight > 0));
  const bridges = networks.map(({ bridge }) => `"${bridge}"`).join(", ");
  const subnets = networks.map(({ subnet }) => subnet).join(", ");
  const nodes = [facts.dataPathAddr, ...peers].join(", ");
  const port = networks[0]!.port;
  return [
    // Before any address is translated: what a container really asked for.
    "  chain isolate {",
    "    type filter hook prerouting priority -160; policy accept;",
    ...networks.map((network) =>
      `    iifname "${network.bridge}" ip daddr != ${network.subnet} ip daddr { ${subnets} } drop`
    ),
    ...networks.filter(({ internal }) => internal).map((network) =>
      `    iifname "${network.bridge}" ip daddr != ${network.subnet} ip daddr != 255.255.255.255 drop`
    ),
    // Connections of the node to itself may leave by the mesh's bridge; nobody shall come in that way.
    ...networks.filter(({ ingress }) => ingress).map((network) =>
      `    iifname "${network.bridge}" ip daddr 127.0.0.0/8 drop`
    ),
    // A node's manager, and its data path, are not for containers: not here and not on other nodes.
    `    iifname { ${bridges} } fib daddr type local tcp dport ${facts.apiPort} drop`,
    `    iifname { ${bridges} } ip daddr { ${nodes} } tcp dport ${facts.apiPort} drop`,
    "  }",
    "  chain input {",
    "    type filter hook input priority -10; policy accept;",
    // Frames come from nodes of the cluster only.
    ...(peers.length > 0
      ? [`    udp dport ${port} ip saddr != { ${peers.join(", ")} } drop`]
      : [`    udp dport ${port} drop`]),
    ...idle.map((server) =>
      `    iifname "${server.bridge}" ip daddr ${server.address} reject with icmp type port-unreachable`
    ),
    "  }",
    "  chain forward {",
    "    type filter hook forward priority -10; policy accept;",
    ...(peers.length > 0 ? [`    udp dport ${port} ip daddr { ${peers.join(", ")} } drop`] : []),
    ...networks.filter(({ internal }) => internal).flatMap((network) => [
      `    iifname "${network.bridge}" oifname != "${network.bridge}" drop`,
      `    oifname "${network.bridge}" iifname != "${network.bridge}" drop`,
    ]),
    "  }",
    "  chain quiet {",
    "    type filter hook output priority -10; policy accept;",
    // What goes through a virtual address leaves by the device it came in; nobody shall be redirected.
    `    oifname { ${bridges} } icmp type redirect drop`,
    "  }",
  ];
}

/** Chains are named after the virtual address, which is unique on the node and legible. */
function chainOf({ address }: VirtualServer): string {
  return `vip-${address.replaceAll(".", "-")}`;
}

const publishedChain = ({ protocol, published }: PublishedServer) =>
  `port-${protocol}-${published}`;

function safe(name: string): string {
  return name.replace(/[^\w.-]/g, "_");
}
