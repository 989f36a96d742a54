import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { int, labels, obj, opt, str } from "../../model/json.ts";
import { clusterOf } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { bodyOf } from "./query.ts";
import { read } from "./read.ts";

const CreateBody = obj({
  Role: opt(str),
  /** Nanoseconds, as Docker's API has all durations. */
  TTL: opt(int),
  Uses: opt(int),
  NodeLabels: opt(labels),
});
const NS_PER_MS = 1e6;

/** Join tokens beyond Docker's two, under /fleet/. A token's secret is told once, when it is made. */
export function tokenRoutes(app: Hono, backend: Backend): void {
  app.get(
    "/fleet/tokens",
    (c) =>
      read(
        c,
        backend,
        (view) => (clusterOf(view)?.IssuedTokens ?? []).map(({ Secret: _, ...token }) => token),
      ),
  );
  app.post("/fleet/tokens/create", async (c) => {
    const { Role = "worker", TTL, Uses, NodeLabels = {} } = await bodyOf(c, CreateBody, "token");
    if (Role !== "worker" && Role !== "manager") {
      throw new FleetError("invalid", `role "${Role}" is neither worker nor manager`);
    }
    const { id, token } = await backend.call("token.create", {
      role: Role,
      labels: NodeLabels,
      ...(TTL === undefined ? {} : { ttlMs: TTL / NS_PER_MS }),
      ...(Uses === undefined ? {} : { uses: Uses }),
    }, c.req.raw.signal);
    return c.json({ ID: id, Token: token }, 201);
  });
  app.delete("/fleet/tokens/:id", async (c) => {
    await backend.call("token.revoke", { id: c.req.param("id") }, c.req.raw.signal);
    return c.body(null, 204);
  });
}
