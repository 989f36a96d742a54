import { FleetError } from "./errors.ts";

/** Docker's API counts durations in integer nanoseconds. */
export const NS_PER_MS = 1_000_000;
export const SECOND_NS = 1_000_000_000;

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1_000,
  "µs": 1_000,
  "μs": 1_000,
  ms: NS_PER_MS,
  s: SECOND_NS,
  m: 60 * SECOND_NS,
  h: 3600 * SECOND_NS,
};

/** Parses a Go duration (`1h30m`, `1.5s`, `0`); nanoseconds. @throws FleetError invalid */
export function parseDuration(text: string): number {
  const match = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text);
  if (text === "0" || text === "+0" || text === "-0") return 0;
  if (!match) {
    throw new FleetError("invalid", `invalid duration "${text}": write it like 10s, 1m30s or 2h`);
  }
  let total = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(part[1]) * (UNIT_NS[part[2] ?? ""] ?? 0);
  }
  return Math.round(match[1] === "-" ? -total : total);
}

/** A duration as Go prints it: `1m30s`, `2160h0m0s`, `500ms`. */
export function formatDuration(ns: number): string {
  if (ns === 0) return "0s";
  const sign = ns < 0 ? "-" : "";
  const abs = Math.abs(ns);
  if (abs < 1_000) return `${sign}${abs}ns`;
  if (abs < NS_PER_MS) return `${sign}${trim(abs / 1_000)}µs`;
  if (abs < SECOND_NS) return `${sign}${trim(abs / NS_PER_MS)}ms`;
  const hours = Math.floor(abs / UNIT_NS["h"]!);
  const minutes = Math.floor((abs % UNIT_NS["h"]!) / UNIT_NS["m"]!);
  const seconds = trim((abs % UNIT_NS["m"]!) / SECOND_NS);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  if (minutes > 0) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${seconds}s`;
}

function trim(value: number): string {
  return String(Number(value.toFixed(9)));
}

/**
 * How long ago, in the words of Docker's tables: `Less than a second`, `5 seconds`, `About a minute`,
 * `3 hours`, `2 weeks`. `ms` is not negative.
 */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}
