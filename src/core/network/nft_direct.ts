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

const NONE = `table netdev ${TABLE}\ndelete table netdev ${TABLE}\n`;

/**
 * A short cut for what containers of one network on two nodes say to each other: a script for `nft -f` that
 * hands frames from a container's cable to the VXLAN device at once, and from there to the cable, past the
 * bridge. There each packet would go through all rules of the host (the engine has bridges do so), which
 * decide nothing about neighbours. Whatever the short cut does not know goes by the bridge, as ever:
 * frames for the bridge itself, which are for virtual addresses and for outside; packets from clients of
 * published ports that keep their address; everything that is not IPv4.
 *
 * @param cables by bridge; only of containers that never get another cable
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
  if (chains.length === 0) return NONE;
  return [NONE + `table netdev ${TABLE} {`, ...chains, "}"].join("\n") + "\n";
}

function chainsOf({ vni, vxlan, subnet, remotes }: DesiredNetwork, cables: readonly Cable[]) {
  const devices = cables.map(({ device }) => `"${device}"`).join(", ");
  const far = [...new Set(remotes.map(({ mac }) => mac))].join(", ");
  const near = cables.map(({ mac, device }) => `${mac} : "${device}"`).join(", ");
  const hook = (where: string) =>
    `    type filter hook ingress ${where} priority 0; policy accept;`;
  return [
    `  chain out-${vni} {`,
    hook(`devices = { ${devices} }`),
    `    ip saddr ${subnet} ip daddr ${subnet} ether daddr { ${far} } counter fwd to "${vxlan}"`,
    "  }",
    `  chain in-${vni} {`,
    hook(`device "${vxlan}"`),
    `    ip saddr ${subnet} ip daddr ${subnet} counter fwd to ether daddr map { ${near} }`,
    "  }",
  ];
}
