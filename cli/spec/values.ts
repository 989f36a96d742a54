import { parseDuration } from "../../src/base/duration.ts";
import { FleetError } from "../../src/base/errors.ts";

/** Parsers of flag values. All throw FleetError invalid with one sentence. */

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** A size as `512m`, `1.5GiB`, `64kb` or plain bytes; powers of 1024. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s?([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  if (!match) throw new FleetError("invalid", `"${text}" is no size: write it like 64m or 1.5g`);
  const unit = (match[2] ?? "").toLowerCase();
  const bytes = Number(match[1]) * (unit === "" ? 1 : 1024 ** (UNITS[unit] ?? 0));
  return safe(Math.floor(bytes), text);
}

/** Decimal CPUs, as 10⁻⁹ of one. */
export function parseCpus(text: string): number {
  if (!/^\d*\.?\d{0,9}$/.test(text) || !/\d/.test(text)) {
    throw new FleetError("invalid", `"${text}" is no number of CPUs: write it like 0.5 or 2`);
  }
  return safe(Math.round(Number(text) * 1e9), text);
}

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

/** A parser that takes one of `words`. */
export function choice<T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text.toLowerCase());
    if (found === undefined) {
      throw new FleetError("invalid", `"${text}" is none of ${words.join(", ")}`);
    }
    return found;
  };
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
