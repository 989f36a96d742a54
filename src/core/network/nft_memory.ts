import type { DesiredState } from "./desired.ts";
import { TABLE } from "./nft_ruleset.ts";

/**
 * How long the kernel remembers connections to tasks once they are over, in s; its own time is two
 * minutes. Longer than a last packet takes that is sent again, and shorter than a client takes to come
 * back from the same port.
 */
const REMEMBERED_S = 1;

/**
 * A script for `nft -f` that shortens the kernel's memory of connections to tasks which are over. It may
 * be run again at any time.
 *
 * An engine that removes a container ends what the kernel remembers of its address, one connection after
 * the other and by client and port asked. A client that has used its port again meanwhile has another
 * task, and would lose that one's connection: answers no longer find back to it.
 */
export function nftMemoryScript({ networks }: DesiredState): string {
  if (networks.length === 0) {
    return `table inet ${TABLE}\ndelete table inet ${TABLE}\n`;
  }
  const bridges = networks.map(({ bridge }) => `"${bridge}"`).join(", ");
  return [
    `table inet ${TABLE} {`,
    "  ct timeout brief {",
    "    protocol tcp; l3proto ip",
    `    policy = { close : ${REMEMBERED_S}, time_wait : ${REMEMBERED_S} }`,
    "  }",
    "  chain memory {",
    // Where both translations are to be seen, and before the connection is entered.
    "    type filter hook postrouting priority 80; policy accept;",
    "  }",
    "}",
    `flush chain inet ${TABLE} memory`,
    `table inet ${TABLE} {`,
    "  chain memory {",
    `    oifname { ${bridges} } meta l4proto tcp ct state new ct timeout set "brief"`,
    "  }",
    "}",
  ].join("\n") + "\n";
}
