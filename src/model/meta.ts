import { int, labels, obj, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";

/** The raft index of the object's last change. A writer that names another one is refused. */
export const Version = obj({ Index: int });
export type Version = Infer<typeof Version>;

/** Fields that every stored object begins with. Times are RFC 3339 in UTC, set by the leader. */
export const metaFields = { ID: str, Version, CreatedAt: str, UpdatedAt: str };

/** Fields that every spec begins with. */
export const annotationFields = { Name: opt(str), Labels: opt(labels) };

export const Driver = obj({ Name: opt(str), Options: opt(labels) });
export type Driver = Infer<typeof Driver>;

/** Go's zero time, which Docker prints where a time is unset. */
export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** `ms` since 1970 as RFC 3339, the way stored times are written. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** Milliseconds since 1970 of a stored time; `undefined` and the zero time are 0. */
export function timeMs(text: string | undefined): number {
  if (text === undefined || text === ZERO_TIME) return 0;
  return Date.parse(text);
}
