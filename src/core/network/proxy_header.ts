import { ipv4ToInt } from "../../base/cidr.ts";

/** One end of a connection; the address as text, IPv4 also as IPv6 maps it. */
export interface End {
  readonly hostname: string;
  readonly port: number;
}

/** "\r\n\r\n\0\r\nQUIT\n": nothing that a server of another protocol would take for a request. */
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
/** Version 2, command PROXY. */
const VERSION_AND_COMMAND = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/**
 * What a connection begins with that tells of the one that it stands for: the binary header of the PROXY
 * protocol, version 2 (section 2.2 of HAProxy's `proxy-protocol.txt`).
 */
export function proxyHeader(client: End, asked: End): Uint8Array {
  const short = [client, asked].map(({ hostname }) => ipv4Bytes(unmapped(hostname)));
  const four = short.every((bytes) => bytes !== undefined);
  const addresses = four
    ? short.flatMap((bytes) => bytes ?? [])
    : [client, asked].flatMap(({ hostname }) => ipv6Bytes(hostname));
  const ports = [client, asked].flatMap(({ port }) => [port >> 8, port & 0xff]);
  const length = addresses.length + ports.length;
  return Uint8Array.from([
    ...SIGNATURE,
    VERSION_AND_COMMAND,
    four ? TCP_OVER_IPV4 : TCP_OVER_IPV6,
    length >> 8,
    length & 0xff,
    ...addresses,
    ...ports,
  ]);
}

/** IPv4 in clear where it is mapped into IPv6, as a socket for both shows it. */
export function unmapped(hostname: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(hostname)?.[1] ?? hostname;
}

function ipv4Bytes(text: string): number[] | undefined {
  const value = ipv4ToInt(text);
  return value === undefined ? undefined : [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

/** RFC 4291, section 2.2: groups of 16 bits, `::` once, IPv4 at the end; the zone is no part of it. */
function ipv6Bytes(hostname: string): number[] {
  const four = ipv4Bytes(hostname);
  if (four) return [...Array<number>(10).fill(0), 0xff, 0xff, ...four];
  const [head = "", tail] = hostname.split("%")[0]!.split("::");
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  return [...front, ...Array<number>(16 - front.length - back.length).fill(0), ...back];
}

function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    const value = parseInt(group, 16);
    return ipv4Bytes(group) ?? [value >> 8, value & 0xff];
  });
}
