import type { DesiredNetwork } from "./desired.ts";
import { TABLE } from "./nft_ruleset.ts";

/** A container of a network on this node, as the bridge sees it. */
export interface Cable {
  readonly mac: string;
  /** The bridge's end of it. */
  readonly device: string;
}

/** Devices of one chain; the kernel takes 256. */
export const MAX_CABLES = 128;
/** Neighbours of one network on other nodes that are listed; those of larger ones go by the bridge. */
export const MAX_REMOTES = 1_024;
/**
 * What nobody renews for so long is not used any more. Longer than an agent is away for an upgrade, since a
 * host that drops what its connection tracking takes for invalid ends connections which the bridge has seen
 * begin, and then not for a while.
 */
const LEASE = "{ ip timeout 10m }";

/** Takes the short cut away, also where there is none. */
export const NO_DIRECT_RULES = `table netdev ${TABLE}\ndelete table netdev ${TABLE}\n`;

/** Lets the kernel use what is in force for a while longer, and lists it; fails where there is nothing. */
export const RENEW_DIRECT_RULES = [
  `flush set netdev ${TABLE} lease`,
  `add element netdev ${TABLE} lease ${LEASE}`,
  `list table netdev ${TABLE}`,
].join("\n") + "\n";

/**
 * A short cut for what containers of one network on two nodes say to each other: a script for `nft -f` that
 * hands frames from a container's cable to the VXLAN device at once, and from there to the cable, past the
 * bridge. There each packet would go through all rules of the host (the engine has bridges do so), which
 * decide nothing about neighbours. Whatever the short cut does not know goes by the bridge, as ever:
 * frames for the bridge itself, which are for virtual addresses and for outside; packets from clients of
 * published ports that keep their address; everything that is not IPv4.
 *
 * Both directions of a connection go the same way, since a host that tracks connections on bridges takes
 * one half of them for invalid: hence the sender's address, too. It is used only while it is renewed
 * ({@link RENEW_DIRECT_RULES}), so that an agent that is gone, or too old to know it, leaves nothing that
 * hands packets to a cable that is no more.
 *
 * @param cables by bridge; only of containers that seldom get another cable
 */
export function nftDirectScript(
  networks: readonly DesiredNetwork[],
  cables: ReadonlyMap<string, readonly Cable[]>,
): string {
  const chains = networks.flatMap((network) => {
    const own = cables.get(network.bridge) ?? [];
    const { length } = network.remotes;
    const fits = own.length <= MAX_CABLES && length <= MAX_REMOTES;
    return fits && own.length > 0 && length > 0 ? chainsOf(network, own) : [];
  });
  if (chains.length === 0) return NO_DIRECT_RULES;
  const lease = ["  set lease {", "    type ether_type", "    flags timeout"];
  return [
    `${NO_DIRECT_RULES}table netdev ${TABLE} {`,
    ...lease,
    `    elements = ${LEASE}`,
    "  }",
    ...chains,
    "}",
  ].join("\n") + "\n";
}

function chainsOf({ vni, vxlan, subnet, remotes }: DesiredNetwork, cables: readonly Cable[]) {
  const devices = cables.map(({ device }) => `"${device}"`).join(", ");
  const far = [...new Set(remotes.map(({ mac }) => mac))].join(", ");
  const near = cables.map(({ mac, device }) => `${mac} : "${device}"`).join(", ");
  const hook = (where: string) =>
    `    type filter hook ingress ${where} priority 0; policy accept;`;
  const inside = `meta protocol @lease ip saddr ${subnet} ip daddr ${subnet}`;
  return [
    `  set far-${vni} {`,
    "    type ether_addr",
    `    elements = { ${far} }`,
    "  }",
    `  chain out-${vni} {`,
    hook(`devices = { ${devices} }`),
    `    ${inside} ether daddr @far-${vni} counter fwd to "${vxlan}"`,
    "  }",
    `  chain in-${vni} {`,
    hook(`device "${vxlan}"`),
    `    ${inside} ether saddr @far-${vni} counter fwd to ether daddr map { ${near} }`,
    "  }",
  ];
}
