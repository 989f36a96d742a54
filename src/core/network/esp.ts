import { ipv4ToInt } from "../../base/cidr.ts";
import type { NetworkKey } from "../../model/session.ts";
import type { DesiredNetwork } from "./desired.ts";

/**
 * What encrypted networks need of the kernel: everything to and from the other nodes' UDP port for
 * encrypted networks goes through ESP in transport mode. Each pair of nodes has, for every key of the
 * cluster, one security association in each direction with a key of its own.
 */
export interface EspState {
  readonly associations: readonly Association[];
  readonly policies: readonly EspPolicy[];
}

export interface Association {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
  /** Key and salt of AES-GCM (RFC 4106), as hexadecimal with `0x`. */
  readonly key: string;
}

export interface EspPolicy {
  readonly src: string;
  readonly dst: string;
  readonly port: number;
  readonly dir: "in" | "out";
  /** Which association is sent with; 0 for any that comes in. */
  readonly spi: number;
}

/** What identifies fleet's among the machine's associations and policies. */
export const REQID = 0x0f1ee7;
/** ESP head, IV, padding, trailer and check value of AES-GCM in transport mode, rounded up (RFC 4303). */
export const ESP_OVERHEAD = 38;

/** Derives the key of one direction; `src/adapters/network` does it. */
export type DeriveKey = (key: NetworkKey, src: string, dst: string) => string;

/** What the kernel shall hold for the encrypted ones of these networks, sorted. */
export function desiredEsp(networks: readonly DesiredNetwork[], derive: DeriveKey): EspState {
  const associations = new Map<string, Association>();
  const policies = new Map<string, EspPolicy>();
  for (const { encryption, local, port, peers } of networks) {
    if (!encryption) continue;
    const { keys, primary } = encryption;
    const sending = keys.find(({ id }) => id === primary) ?? keys[0];
    if (!sending) continue;
    for (const peer of peers) {
      for (const [src, dst] of [[local, peer], [peer, local]] as const) {
        for (const key of keys) {
          const spi = spiOf(key.id, src, dst);
          const association = { src, dst, spi, key: derive(key, src, dst) };
          associations.set(idOf(association), association);
        }
      }
      const out: EspPolicy = {
        src: local,
        dst: peer,
        port,
        dir: "out",
        spi: spiOf(sending.id, local, peer),
      };
      const into: EspPolicy = { src: peer, dst: local, port, dir: "in", spi: 0 };
      for (const policy of [out, into]) policies.set(selectorOf(policy), policy);
    }
  }
  return { associations: sorted(associations), policies: sorted(policies) };
}

/** Lines for `ip -batch` that lead from what is to what shall be, in an order that loses nothing. */
export function planEsp(desired: EspState, observed: EspState): string[] {
  const lines: string[] = [];
  const had = new Map(observed.associations.map((a) => [idOf(a), a]));
  const wanted = new Set(desired.associations.map(idOf));
  for (const association of desired.associations) {
    const known = had.get(idOf(association));
    if (known?.key === association.key) continue;
    if (known) lines.push(removeAssociation(known));
    lines.push(addAssociation(association));
  }
  const policies = new Map(observed.policies.map((policy) => [selectorOf(policy), policy]));
  const selectors = new Set(desired.policies.map(selectorOf));
  for (const policy of desired.policies) {
    if (policies.get(selectorOf(policy))?.spi !== policy.spi) lines.push(setPolicy(policy));
  }
  for (const policy of observed.policies) {
    if (!selectors.has(selectorOf(policy))) lines.push(removePolicy(policy));
  }
  // What is not sent with any more may still be on its way: associations go last.
  for (const association of observed.associations) {
    if (!wanted.has(idOf(association))) lines.push(removeAssociation(association));
  }
  return lines;
}

/**
 * The index of the association in one direction: the same on both nodes, by FNV-1a (32 bits). Values up to
 * 255 are reserved (RFC 4303).
 */
export function spiOf(keyId: number, src: string, dst: string): number {
  let hash = 0x811c9dc5;
  for (const char of `${keyId}/${src}/${dst}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  }
  return hash > 255 ? hash : hash + 256;
}

const addAssociation = ({ src, dst, spi, key }: Association) =>
  `xfrm state add src ${src} dst ${dst} proto esp spi ${
    hex(spi)
  } reqid ${REQID} mode transport aead rfc4106(gcm(aes)) ${key} 128`;
const removeAssociation = ({ src, dst, spi }: Association) =>
  `xfrm state delete src ${src} dst ${dst} proto esp spi ${hex(spi)}`;
const selector = ({ src, dst, port, dir }: EspPolicy) =>
  `src ${src}/32 dst ${dst}/32 proto udp dport ${port} dir ${dir}`;
const setPolicy = (policy: EspPolicy) =>
  `xfrm policy update ${selector(policy)} tmpl src ${policy.src} dst ${policy.dst} proto esp ${
    policy.spi === 0 ? "" : `spi ${hex(policy.spi)} `
  }reqid ${REQID} mode transport`;
const removePolicy = (policy: EspPolicy) => `xfrm policy delete ${selector(policy)}`;

/** Fleet's associations, from what `ip xfrm state` prints. */
export function parseAssociations(text: string): Association[] {
  return blocks(text).flatMap((block) => {
    const ends = /^src (\S+) dst (\S+)/.exec(block);
    const esp = /proto esp spi 0x([0-9a-f]+)\S* reqid (\d+)/.exec(block);
    const aead = /aead rfc4106\(gcm\(aes\)\) (0x[0-9a-f]+) 128/.exec(block);
    if (!ends || !esp || Number(esp[2]) !== REQID) return [];
    const [, src = "", dst = ""] = ends;
    return [{ src, dst, spi: parseInt(esp[1]!, 16), key: aead?.[1] ?? "" }];
  }).sort((a, b) => compare(idOf(a), idOf(b)));
}

/** Fleet's policies, from what `ip xfrm policy` prints. */
export function parsePolicies(text: string): EspPolicy[] {
  return blocks(text).flatMap((block) => {
    const ends = /^src ([\d.]+)\/32 dst ([\d.]+)\/32 proto udp dport (\d+)/.exec(block);
    const dir = /\bdir (in|out)\b/.exec(block)?.[1] as EspPolicy["dir"] | undefined;
    const esp = /proto esp (?:spi 0x([0-9a-f]+)\S* )?reqid (\d+)/.exec(block);
    if (!ends || !dir || !esp || Number(esp[2]) !== REQID) return [];
    const [, src = "", dst = "", port] = ends;
    return [{ src, dst, port: Number(port), dir, spi: parseInt(esp[1] ?? "0", 16) }];
  }).sort((a, b) => compare(selectorOf(a), selectorOf(b)));
}

/** The tools print one entry as a line at the margin and indented ones after it. */
function blocks(text: string): string[] {
  return text.split(/\n(?=\S)/).map((block) => block.trim()).filter(Boolean);
}

const hex = (value: number) => `0x${value.toString(16)}`;
const number = (address: string) => String(ipv4ToInt(address) ?? 0).padStart(10, "0");
const idOf = ({ src, dst, spi }: Association) => `${number(src)} ${number(dst)} ${spi}`;
const selectorOf = ({ src, dst, port, dir }: EspPolicy) =>
  `${dir} ${number(src)} ${number(dst)} ${port}`;
const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;

function sorted<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map].sort(([a], [b]) => compare(a, b)).map(([, value]) => value);
}
