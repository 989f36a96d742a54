/** fleet's own devices: containers on overlay networks have no IPv6, and nobody else is there. */
const OVERLAY = /^flx?-\d+$/;
const LINK_LOCAL = /^fe[89ab]/i;

type Interface = Pick<Deno.NetworkInterfaceInfo, "name" | "family" | "address" | "scopeid">;

/**
 * The machine's IPv6 addresses as something can listen at them, sorted. Those of a link, of which several
 * interfaces may have the same one, with the interface's index (RFC 4007); and only where the interface has
 * another address, too: the cables of containers have nothing else, and nobody asks there.
 */
export function localIpv6(interfaces: readonly Interface[]): string[] {
  const isLinkLocal = ({ family, address }: Interface) =>
    family === "IPv6" && LINK_LOCAL.test(address);
  const named = new Set(
    interfaces.filter((one) => !isLinkLocal(one)).map(({ name }) => name),
  );
  return [
    ...new Set(
      interfaces.filter(({ name, family }) =>
        family === "IPv6" && named.has(name) && !OVERLAY.test(name)
      ).map((one) => isLinkLocal(one) ? `${one.address}%${one.scopeid}` : one.address),
    ),
  ].sort();
}
