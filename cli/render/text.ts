export { ellipsis } from "../../src/base/template/functions.ts";
import { humanDuration } from "../../src/base/duration.ts";

/** Ids are shown this long unless asked for in full. */
export const SHORT_ID = 12;

export function shortId(id: string): string {
  return id.slice(0, SHORT_ID);
}

/** `running` as `Running`. */
export function title(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

/** `5 minutes ago`, from a stored time; nothing where the time is unset or unreadable. */
export function ago(time: string | undefined, nowMs: number): string {
  const ms = Date.parse(time ?? "");
  if (Number.isNaN(ms) || ms <= 0) return "";
  return `${humanDuration(Math.max(0, nowMs - ms))} ago`;
}

/** `k=v,k2=v2`, by key. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(labels ?? {}).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, value]) => `${key}=${value}`).join(",");
}

/** Bytes in powers of 1024 with four significant digits, as in `512MiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

/** `2026-11-20 22:51:03.1 +0000 utc`, as Docker's client writes times. */
export function timeText(time: string | undefined): string {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d*[1-9])?)\.?0*Z$/.exec(time ?? "");
  return match ? `${match[1]} ${match[2]} +0000 utc` : time ?? "";
}

/** How long a certificate lasts. */
export function lifeText(expiry: string, daysLeft: number): string {
  const days = (n: number) => n === 1 ? "1 day" : `${n} days`;
  const when = timeText(expiry);
  if (daysLeft < 0) return `expired ${days(-daysLeft)} ago (${when})`;
  return `${days(daysLeft)} left (until ${when})`;
}
