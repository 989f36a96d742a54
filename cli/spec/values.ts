import { parseDuration } from "../../src/base/duration.ts";
import { FleetError } from "../../src/base/errors.ts";

export { parseBytes, parseCpus } from "../../src/base/quantities.ts";

/** Parsers of flag values. All throw FleetError invalid with one sentence. */

/** A whole number from 0 up. */
export function parseUint(text: string): number {
  if (!/^\d+$/.test(text)) {
    throw new FleetError("invalid", `"${text}" is not a whole number from 0 up`);
  }
  return safe(Number(text), text);
}

/** A whole number. */
export function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new FleetError("invalid", `"${text}" is not a whole number`);
  return safe(Number(text), text);
}

/** A share between 0 and 1. */
export function parseRatio(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1)) {
    throw new FleetError("invalid", `"${text}" is not a number between 0 and 1`);
  }
  return value;
}

/** A Go duration in nanoseconds, from 0 up. */
export function parseNonNegativeDuration(text: string): number {
  const ns = parseDuration(text);
  if (ns < 0) throw new FleetError("invalid", `"${text}" is negative`);
  return safe(ns, text);
}

/** A parser that takes one of `words`, and tells them to who completes a command line. */
export function choice<T extends string>(
  ...words: readonly T[]
): ((text: string) => T) & { readonly words: readonly string[] } {
  const parse = (text: string): T => {
    const found = words.find((word) => word === text.toLowerCase());
    if (found === undefined) {
      throw new FleetError("invalid", `"${text}" is none of ${words.join(", ")}`);
    }
    return found;
  };
  return Object.assign(parse, { words });
}

/** A boolean inside a long syntax, where the bare key means true. */
export function parseFlagValue(key: string, value: string | undefined): boolean {
  if (value === undefined) return true;
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new FleetError("invalid", `${key} is true or false, not "${value}"`);
}

function safe(value: number, text: string): number {
  if (!Number.isSafeInteger(value)) throw new FleetError("invalid", `"${text}" is too large`);
  return value;
}
