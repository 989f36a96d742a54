import { isIP } from "../../base/addresses.ts";
import type { Clock } from "../../base/clock.ts";

/** As in the C library (resolv.h, MAXNS). */
export const MAX_NAMESERVERS = 3;
/** How long a reading of the file holds. */
const RECHECK_MS = 2_000;

/** The `nameserver` lines of a resolv.conf(5), without those that are no address. */
export function parseNameservers(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, address] = line.trim().split(/\s+/);
    if (keyword !== "nameserver" || address === undefined) continue;
    const plain = address.replace(/%.*$/, "");
    if (isIP(plain) && !found.includes(plain)) found.push(plain);
  }
  return found.slice(0, MAX_NAMESERVERS);
}

/** The host's own resolvers, read again when they may have changed (DHCP, VPNs). */
export class HostResolvers {
  #servers: readonly string[] = [];
  #readAt = -Infinity;

  constructor(readonly path: string, readonly clock: Clock) {}

  current(): readonly string[] {
    const now = this.clock.monotonic();
    if (now - this.#readAt < RECHECK_MS) return this.#servers;
    this.#readAt = now;
    try {
      this.#servers = parseNameservers(Deno.readTextFileSync(this.path));
    } catch {
      // No such file: this host resolves nothing, so neither do its containers.
      this.#servers = [];
    }
    return this.#servers;
  }
}
