import { assert } from "../../base/assert.ts";
import { intToIPv4, ipv4ToInt, parseCidr } from "../../base/cidr.ts";
import type { Cidr } from "../../base/cidr.ts";
import type { IPAMConfig } from "../../model/network.ts";

/** From this share of used addresses on, people are warned. */
export const WARN_AT = 0.8;

/**
 * Which addresses of one subnet are whose. Addresses go out in turn, so one that was given back comes
 * again only after all others: whoever still holds on to it (a cache, a connection) does not meet a
 * stranger.
 */
export class AddressPool {
  readonly #subnet: Cidr;
  readonly #range: Cidr;
  readonly #reserved = new Set<number>();
  /** Claims by address; more than one owner of an address is a conflict that the audit reports. */
  readonly #owners = new Map<number, Set<string>>();
  /** Of the addresses that can be given out, those that somebody has. */
  #given = 0;
  #next: number;

  constructor(config: IPAMConfig) {
    const subnet = parseCidr(config.Subnet ?? "");
    assert(subnet, `the subnet ${config.Subnet} of a network`);
    this.#subnet = subnet;
    this.#range = parseCidr(config.IPRange ?? "") ?? subnet;
    const reserved = [config.Gateway, ...Object.values(config.AuxiliaryAddresses ?? {})];
    for (const address of reserved) {
      const value = ipv4ToInt(address ?? "");
      if (value !== undefined) this.#reserved.add(value);
    }
    this.#reserved.add(subnet.first).add(subnet.last);
    this.#next = this.#range.first;
  }

  get length(): number {
    return this.#subnet.length;
  }

  /** Addresses that can be given out at all. */
  get capacity(): number {
    let inside = 0;
    for (const address of this.#reserved) if (this.#inRange(address)) inside++;
    return this.#range.last - this.#range.first + 1 - inside;
  }

  get used(): number {
    return this.#owners.size;
  }

  /** Addresses that can still be given out. */
  get free(): number {
    return this.capacity - this.#given;
  }

  /** A free address for `owner`, or undefined when there is none. */
  take(owner: string): string | undefined {
    const size = this.#range.last - this.#range.first + 1;
    for (let i = 0; i < size; i++) {
      const address = this.#range.first + (this.#next - this.#range.first + i) % size;
      if (this.#reserved.has(address) || this.#owners.has(address)) continue;
      this.#next = address + 1;
      this.#own(address, owner);
      return intToIPv4(address);
    }
    return undefined;
  }

  /** That very address, if it is free; others go out in turn as if it had not been asked for. */
  takeAgain(address: string, owner: string): string | undefined {
    const value = ipv4ToInt(address);
    if (value === undefined || !this.isFree(address)) return undefined;
    this.#own(value, owner);
    return address;
  }

  /** Notes that an address is `owner`'s; later ones go out from behind it. */
  claim(address: string, owner: string): void {
    const value = ipv4ToInt(address);
    if (value === undefined || value < this.#subnet.first || value > this.#subnet.last) return;
    const owners = this.#owners.get(value);
    if (owners) owners.add(owner);
    else {
      this.#own(value, owner);
      if (this.#inRange(value) && value >= this.#next) this.#next = value + 1;
    }
  }

  release(address: string, owner: string): void {
    const value = ipv4ToInt(address);
    const owners = value === undefined ? undefined : this.#owners.get(value);
    owners?.delete(owner);
    if (owners?.size !== 0) return;
    this.#owners.delete(value!);
    if (this.#isGivable(value!)) this.#given--;
  }

  isFree(address: string): boolean {
    const value = ipv4ToInt(address);
    return value !== undefined && value > this.#subnet.first && value < this.#subnet.last &&
      !this.#reserved.has(value) && !this.#owners.has(value);
  }

  /** Everything that is claimed, sorted: `address owner`. */
  claims(): string[] {
    return [...this.#owners].flatMap(([address, owners]) =>
      [...owners].map((owner) => `${intToIPv4(address)} ${owner}`)
    ).sort();
  }

  /** Continues where another pool of the same network stopped. */
  continueFrom(other: AddressPool): void {
    if (this.#inRange(other.#next - 1) || other.#next === this.#range.first) {
      this.#next = other.#next;
    }
  }

  /** The next address goes out from behind this one. */
  continueBehind(address: string): void {
    const value = ipv4ToInt(address);
    if (value !== undefined && this.#inRange(value)) this.#next = value + 1;
  }

  #own(address: number, owner: string): void {
    this.#owners.set(address, new Set([owner]));
    if (this.#isGivable(address)) this.#given++;
  }

  #isGivable(address: number): boolean {
    return this.#inRange(address) && !this.#reserved.has(address);
  }

  #inRange(address: number): boolean {
    return address >= this.#range.first && address <= this.#range.last;
  }
}
