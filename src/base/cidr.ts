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
