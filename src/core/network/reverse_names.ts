/** Addresses as numbers, ranges, and the names of the reverse zones (RFC 1035 3.5, RFC 3596 2.5). */

export interface Range {
  /** Number of bits of the family, 32 or 128. */
  readonly width: number;
  readonly prefix: bigint;
  readonly length: number;
}

/** Undefined when it is no CIDR. */
export function parseRange(cidr: string): Range | undefined {
  const [text = "", length = ""] = cidr.split("/");
  const address = parseAddress(text);
  if (!address || !/^\d{1,3}$/.test(length) || Number(length) > address.width) return undefined;
  const bits = Number(length);
  return {
    width: address.width,
    length: bits,
    prefix: address.value >> BigInt(address.width - bits),
  };
}

export function within(range: Range, text: string): boolean {
  const address = parseAddress(text);
  return address?.width === range.width &&
    address.value >> BigInt(range.width - range.length) === range.prefix;
}

function parseAddress(
  text: string,
): { readonly width: number; readonly value: bigint } | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some((part) => part > 255)) return undefined;
    return { width: 32, value: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  }
  const groups = expandIPv6(text);
  if (!groups) return undefined;
  return { width: 128, value: groups.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n) };
}

function expandIPv6(text: string): number[] | undefined {
  const halves = text.toLowerCase().split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...tail];
  return groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))
    ? groups.map((group) => parseInt(group, 16))
    : undefined;
}

/** The address that a name under `in-addr.arpa` or `ip6.arpa` stands for, in canonical text. */
export function addressOfReverseName(name: string): string | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (v4) return v4.slice(1).reverse().map(Number).join(".");
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name);
  if (!v6) return undefined;
  const digits = v6[1]!.replaceAll(".", "").split("").reverse().join("");
  const groups = digits.match(/.{4}/g)!.map((group) => parseInt(group, 16));
  return formatIPv6(groups);
}

/** RFC 5952: lower case, the longest run of zero groups as `::`. */
function formatIPv6(groups: readonly number[]): string {
  let [start, length] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}
