import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import type { Audit } from "../../model/audit.ts";
import { MAX_AUDIT_ENTRIES } from "../../model/audit.ts";
import { nodeName } from "../../model/node.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { filtersOf, passes } from "./query.ts";
import { read } from "./read.ts";

/**
 * `GET /fleet/audit`, newest first: `limit`, `since` and `until` in seconds since 1970, and filters `actor`,
 * `action`, `type`, `object` (name or id, each by a part of it) and `result` (done, refused).
 */
export function auditRoutes(app: Hono, backend: Backend): void {
  app.get("/fleet/audit", (c) => {
    const limit = numberOf(c.req.query("limit"), "limit") ?? MAX_AUDIT_ENTRIES;
    const since = (numberOf(c.req.query("since"), "since") ?? 0) * 1000;
    const until = (numberOf(c.req.query("until"), "until") ?? Infinity) * 1000;
    const filters = filtersOf(c, Object.keys(TESTS));
    return read(c, backend, (view) =>
      [...view.all("audit")]
        .filter((entry) => {
          const at = Date.parse(entry.CreatedAt);
          return at >= since && at <= until && passes(entry, filters, TESTS);
        })
        .sort((a, b) => b.Version.Index - a.Version.Index || (a.ID < b.ID ? -1 : 1))
        .slice(0, limit)
        .map((entry) => auditJson(view, entry)));
  });
}

const has = (text: string | undefined, part: string) =>
  (text ?? "").toLowerCase().includes(part.toLowerCase());

const TESTS: Readonly<Record<string, (entry: Audit, value: string) => boolean>> = {
  actor: (entry, value) => has(entry.Actor, value),
  action: (entry, value) => has(entry.Action, value),
  type: (entry, value) => entry.ObjectType === value,
  object: (entry, value) => has(entry.ObjectName, value) || has(entry.ObjectID, value),
  result: (entry, value) => (entry.Refusal === undefined ? "done" : "refused") === value,
};

function numberOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new FleetError("invalid", `${name}: "${text}" is no number`);
}

function auditJson(view: View, entry: Audit): Record<string, unknown> {
  const via = view.get("node", entry.Via ?? "");
  return {
    ID: entry.ID,
    Time: entry.CreatedAt,
    Actor: entry.Actor,
    Via: via ? nodeName(via) : entry.Via ?? "",
    Action: entry.Action,
    Object: {
      Type: entry.ObjectType,
      ID: entry.ObjectID ?? "",
      Name: entry.ObjectName ?? "",
    },
    ...(entry.From === undefined ? {} : { From: entry.From }),
    ...(entry.Refusal === undefined ? { To: entry.Version.Index } : {}),
    Result: entry.Refusal ?? "done",
  };
}
