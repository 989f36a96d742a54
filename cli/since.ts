import { parseDuration } from "../src/base/duration.ts";

/** Unix seconds of a point in time: RFC 3339, unix seconds, or a duration back from now. */
export function sinceText(text: string, nowMs: number): string {
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  const ms = Date.parse(text);
  if (!Number.isNaN(ms) && /^\d{4}-/.test(text)) return String(ms / 1000);
  return ((nowMs - parseDuration(text) / 1e6) / 1000).toFixed(3);
}
