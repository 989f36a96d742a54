import type { MeshKind, PublishedServer, VirtualServer } from "./balancer.ts";
import type { DesiredState } from "./desired.ts";
import { OWN_MARKS, portMark, vipMarks } from "./ipvs.ts";

type Protocol = PublishedServer["protocol"];

const PROTOCOLS: readonly Protocol[] = ["tcp", "udp", "sctp"];
/** Whose packets have a CRC instead of a checksum. */
const WITH_CRC: readonly Protocol[] = ["sctp"];
const WITHOUT_CRC: readonly Protocol[] = ["tcp", "udp"];
/**
 * Containers are behind bridges, and a machine that is one itself behind a cable of the same kind as theirs.
 * Clients of a machine whose own network is a bridge are taken for containers, which does no harm.
 */
const FROM_CONTAINERS = 'meta iifkind { "bridge", "veth" }';
const LOCALHOST = "127.0.0.0/8";

/** The one table that is fleet's in the host's nftables. */
export const TABLE = "fleet";

/**
 * The rules of this node as a script for `nft -f`, which puts all of it in force at once: virtual
 * addresses, and what containers of overlay networks may not reach.
 *
 * Connections that exist keep their real server (conntrack or IPVS remembers it), so a task that is not
 * in the new rules any more drains.
 */
export function nftRuleset(state: DesiredState, mesh: MeshKind = "nftables"): string {
  const lines = [`table ip ${TABLE}`, `delete table ip ${TABLE}`];
  if (state.networks.length === 0) return lines.join("\n") + "\n";
  lines.push(
    `table ip ${TABLE} {`,
    ...(mesh === "nftables" ? balancerChains(state.balancers) : []),
    ...publishedChains(state.published),
    ...(mesh === "nftables" ? natChains(state) : [...markChains(state), ...besideIpvs(state)]),
    ...postroutingChain(state, mesh),
    ...(mesh === "ipvs" ? unmarkChain(state) : []),
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

/** Servers that somebody is behind. */
function served<T extends VirtualServer | PublishedServer>(servers: readonly T[]): T[] {
  return servers.filter(({ reals }) => reals.some(({ weight }) => weight > 0));
}

/**
 * Whichever of its addresses the node is asked at; but not those on overlay networks, where its name server
 * answers: whoever publishes port 53 shall not take that away from containers.
 */
function atNode(networks: DesiredState["networks"], without?: string): string {
  const left = [...(without ? [without] : []), ...networks.map(({ subnet }) => subnet)];
  return `ip daddr != { ${left.join(", ")} } fib daddr type local`;
}

function natChains({ networks, balancers, published }: DesiredState): string[] {
  const vips = served(balancers);
  // Looked up, not gone through one by one: there may be thousands.
  const inside = vips.map((s) => `"${s.bridge}" . ${s.address} : goto ${chainOf(s)}`);
  const own = vips.map((s) => `${s.address} : goto ${chainOf(s)}`);
  const here = atNode(networks);
  const meshed = portRules(published, "vmap", (server) => `goto ${publishedChain(server)}`);
  return [
    "  chain prerouting {",
    "    type nat hook prerouting priority -110; policy accept;",
    ...(vips.length > 0 ? [`    iifname . ip daddr vmap { ${inside.join(", ")} }`] : []),
    ...meshed.map((rule) => `    ${here} ${rule}`),
    "  }",
    "  chain output {",
    "    type nat hook output priority -110; policy accept;",
    ...(vips.length > 0 ? [`    ip daddr vmap { ${own.join(", ")} }`] : []),
    ...meshed.map((rule) => `    ${here} ${rule}`),
    "  }",
  ];
}

/** Marks what IPVS shall take: it looks at local input and output, after these. */
function markChains({ networks, balancers, published }: DesiredState): string[] {
  const vips = balancers.filter(({ reals }) => reals.length > 0);
  const marks = vipMarks(balancers);
  const of = (address: string) => hex(marks.get(address) ?? 0);
  const inside = vips.map((s) => `"${s.bridge}" . ${s.address} : ${of(s.address)}`);
  const own = vips.map((s) => `${s.address} : ${of(s.address)}`);
  const held = published.filter(({ reals }) => reals.length > 0);
  const marked = (protocols: readonly Protocol[]) =>
    portRules(held, "map", (server) => hex(portMark(server)), protocols);
  const here = atNode(networks, LOCALHOST);
  return [
    "  chain mark-in {",
    "    type filter hook prerouting priority -150; policy accept;",
    ...(vips.length > 0
      ? [`    meta mark set iifname . ip daddr map { ${inside.join(", ")} }`]
      : []),
    ...marked(WITHOUT_CRC).map((rule) => `    ${here} meta mark set ${rule}`),
    // Not "unless from a bridge": a card is of no kind, and no rule about kinds is true of it.
    ...marked(WITH_CRC).flatMap((rule) => [
      `    ${FROM_CONTAINERS} meta l4proto { ${WITH_CRC.join(", ")} } return`,
      `    ${here} meta mark set ${rule}`,
    ]),
    "  }",
    "  chain mark-out {",
    "    type route hook output priority -150; policy accept;",
    ...(vips.length > 0 ? [`    meta mark set ip daddr map { ${own.join(", ")} }`] : []),
    ...marked(WITHOUT_CRC).map((rule) => `    ${here} meta mark set ${rule}`),
    "  }",
  ];
}

/**
 * What nftables translates where IPVS does all else. Clients on 127.0.0.1: IPVS lets nothing go elsewhere
 * from there. And SCTP of this machine, its containers included, whose packets come with a CRC that is still
 * to be made: IPVS makes it and does not say so, so the kernel makes another one of what VXLAN puts around the
 * packet, where a checksum should be, and no node takes that (seen with Linux 6.1).
 */
function besideIpvs({ networks, published }: DesiredState): string[] {
  const led = (protocols: readonly Protocol[]) =>
    portRules(published, "vmap", (server) => `goto ${publishedChain(server)}`, protocols);
  const here = atNode(networks, LOCALHOST);
  return [
    "  chain prerouting {",
    "    type nat hook prerouting priority -110; policy accept;",
    ...led(WITH_CRC).map((rule) => `    ${FROM_CONTAINERS} ${here} ${rule}`),
    "  }",
    "  chain output {",
    "    type nat hook output priority -110; policy accept;",
    ...led(PROTOCOLS).map((rule) => `    ip daddr ${LOCALHOST} ${rule}`),
    ...led(WITH_CRC).map((rule) => `    ${here} ${rule}`),
    "  }",
  ];
}

/** One look-up for each protocol in use. */
function portRules(
  published: readonly PublishedServer[],
  word: "map" | "vmap",
  value: (server: PublishedServer) => string,
  protocols: readonly Protocol[] = PROTOCOLS,
): string[] {
  return protocols.flatMap((protocol) => {
    const ports = (word === "vmap" ? served(published) : published).filter((server) =>
      server.protocol === protocol
    );
    if (ports.length === 0) return [];
    const choice = ports.map((server) => `${server.published} : ${value(server)}`).join(", ");
    return [`${protocol} dport ${word} { ${choice} }`];
  });
}

/** Replies have to come back through here, or the client gets them from a stranger. */
function postroutingChain(
  { networks, published }: DesiredState,
  mesh: MeshKind,
): string[] {
  const to = ({ subnet, gateway }: DesiredState["networks"][number]) =>
    `ip daddr ${subnet} snat to ${gateway}`;
  return [
    "  chain postrouting {",
    "    type nat hook postrouting priority 90; policy accept;",
    ...keptSources(networks, published, mesh),
    ...networks.flatMap((network) => [
      `    oifname "${network.bridge}" ct status dnat ${to(network)}`,
      ...(mesh === "ipvs"
        ? [
          `    oifname "${network.bridge}" meta mark & ${hex(OWN_MARKS.mask)} == ${
            hex(OWN_MARKS.value)
          } ${to(network)}`,
        ]
        : []),
    ]),
    "  }",
  ];
}

/**
 * Takes the mark from what goes on to a task: the frames that VXLAN and ESP make of a packet inherit it, and
 * IPVS would balance those, too.
 */
function unmarkChain({ networks }: DesiredState): string[] {
  const bridges = networks.map(({ bridge }) => `"${bridge}"`).join(", ");
  const own = `meta mark & ${hex(OWN_MARKS.mask)} == ${hex(OWN_MARKS.value)}`;
  return [
    "  chain unmark {",
    // After all translation of sources.
    "    type filter hook postrouting priority 110; policy accept;",
    `    oifname { ${bridges} } ${own} meta mark set 0`,
    "  }",
  ];
}

/** Clients whose address stays; not those on the networks themselves, to whom tasks answer directly. */
function keptSources(
  networks: DesiredState["networks"],
  published: readonly PublishedServer[],
  mesh: MeshKind,
): string[] {
  const subnets = [...networks.map(({ subnet }) => subnet), LOCALHOST].join(", ");
  return published.filter(({ source }) => source !== undefined).flatMap((server) => {
    const byNft =
      `ct status dnat meta l4proto ${server.protocol} ct original proto-dst ${server.published}`;
    const which = [
      ...(mesh === "ipvs" ? [`meta mark ${hex(portMark(server))}`] : []),
      ...(mesh === "nftables" || WITH_CRC.includes(server.protocol) ? [byNft] : []),
    ];
    return which.map((one) => `    ip saddr != { ${subnets} } ${one} accept`);
  });
}

const hex = (value: number) => `0x${value.toString(16)}`;

function filterChains({ networks, balancers, peers, facts }: DesiredState): string[] {
  const idle = balancers.filter(({ reals }) => !reals.some(({ weight }) => weight > 0));
  const bridges = networks.map(({ bridge }) => `"${bridge}"`).join(", ");
  const subnets = networks.map(({ subnet }) => subnet).join(", ");
  const nodes = [facts.dataPathAddr, ...peers].join(", ");
  const ports = `{ ${[...new Set(networks.map(({ port }) => port))].join(", ")} }`;
  const sealed = new Set(networks.filter(({ encryption }) => encryption).map(({ port }) => port));
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
    // The port first: every packet between containers comes by here.
    `    iifname { ${bridges} } tcp dport ${facts.apiPort} fib daddr type local drop`,
    `    iifname { ${bridges} } tcp dport ${facts.apiPort} ip daddr { ${nodes} } drop`,
    "  }",
    "  chain input {",
    "    type filter hook input priority -10; policy accept;",
    // Frames come from nodes of the cluster only; a container may claim to be one.
    `    iifname { ${bridges} } udp dport ${ports} drop`,
    ...(peers.length > 0
      ? [`    udp dport ${ports} ip saddr != { ${peers.join(", ")} } drop`]
      : [`    udp dport ${ports} drop`]),
    ...idle.map((server) =>
      `    iifname "${server.bridge}" ip daddr ${server.address} reject with icmp type port-unreachable`
    ),
    "  }",
    "  chain forward {",
    "    type filter hook forward priority -10; policy accept;",
    ...(peers.length > 0 ? [`    udp dport ${ports} ip daddr { ${peers.join(", ")} } drop`] : []),
    ...networks.filter(({ internal }) => internal).flatMap((network) => [
      `    iifname "${network.bridge}" oifname != "${network.bridge}" drop`,
      `    oifname "${network.bridge}" iifname != "${network.bridge}" drop`,
    ]),
    "  }",
    // Whatever becomes of the kernel's policies: nothing of an encrypted network leaves in clear.
    ...(sealed.size > 0
      ? [
        "  chain sealed {",
        "    type filter hook output priority -10; policy accept;",
        `    udp dport { ${[...sealed].join(", ")} } rt ipsec missing drop`,
        "  }",
      ]
      : []),
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
