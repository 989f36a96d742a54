import { int, obj, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { metaFields } from "./meta.ts";

/**
 * One thing that somebody asked of the cluster, and what became of it. Stored with the change itself, in one
 * entry of the log: `Version.Index` is the version that the change left behind.
 */
export const Audit = obj({
  ...metaFields,
  /** Who: `root (uid 0)`, `certificate alice`, `dashboard (operator of root (uid 0))`. */
  Actor: str,
  /** The manager's node that was asked. */
  Via: opt(str),
  /** The control method: `service.update`. */
  Action: str,
  ObjectType: str,
  ObjectID: opt(str),
  ObjectName: opt(str),
  /** Version of the object before; absent for a new one. */
  From: opt(int),
  /** Why it was refused; absent for what was done. */
  Refusal: opt(str),
});
export type Audit = Infer<typeof Audit>;

/** Entries that are kept; the oldest go first. */
export const MAX_AUDIT_ENTRIES = 2_000;
