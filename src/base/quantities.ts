import { FleetError } from "./errors.ts";

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

function safe(value: number, text: string): number {
  if (!Number.isSafeInteger(value)) throw new FleetError("invalid", `"${text}" is too large`);
  return value;
}
