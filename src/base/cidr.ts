import { isIPv4 } from "./addresses.ts";

/** An IPv4 address as an unsigned 32-bit integer; undefined when it is none. */
export function ipv4ToInt(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

export function intToIPv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** Whether an IPv4 address lies in `network/length`. False for anything malformed. */
export function inCidr(address: string, cidr: string): boolean {
  const [network = "", length = ""] = cidr.split("/");
  const bits = Number(length);
  const [a, n] = [ipv4ToInt(address), ipv4ToInt(network)];
  if (a === undefined || n === undefined || !/^\d+$/.test(length) || bits > 32) return false;
  const size = 2 ** (32 - bits);
  return Math.floor(a / size) === Math.floor(n / size);
}

/** A range of IPv4 addresses: `first` … `last`, both included, with `length` leading bits in common. */
export interface Cidr {
  readonly first: number;
  readonly last: number;
  readonly length: number;
}

/** The range of `a.b.c.d/n`, whatever its host bits are; undefined for anything malformed. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", bits = "", ...more] = text.split("/");
  const value = ipv4ToInt(address);
  const length = Number(bits);
  if (more.length > 0 || value === undefined || !/^\d{1,2}$/.test(bits) || length > 32) {
    return undefined;
  }
  const size = 2 ** (32 - length);
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1, length };
}

export function cidrText({ first, length }: Cidr): string {
  return `${intToIPv4(first)}/${length}`;
}

export function overlap(a: Cidr, b: Cidr): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Whether all of `inner` lies in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}
