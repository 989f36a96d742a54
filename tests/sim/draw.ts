import { randomInt } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";

/** An integer from `low` to `high`, both included. */
export function between(random: Random, low: number, high: number): number {
  return low + randomInt(random, high - low + 1);
}

/** Like {@link between}, but small values are as likely as large ones (uniform in the logarithm). */
export function logBetween(random: Random, low: number, high: number): number {
  return Math.round(low * Math.pow(high / low, random.float()));
}

export function chance(random: Random, probability: number): boolean {
  return random.float() < probability;
}

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[randomInt(random, list.length)]!;
}

/** A random subset of `size` elements, in random order. */
export function sample<T>(random: Random, list: readonly T[], size: number): T[] {
  const rest = [...list];
  const out: T[] = [];
  while (out.length < size && rest.length > 0) {
    out.push(rest.splice(randomInt(random, rest.length), 1)[0]!);
  }
  return out;
}
