import type { Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { NodeSpec } from "../../model/node.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { nodeJson } from "../projection/node.ts";
import { lookUp } from "./lookup.ts";
import { bodyOf, filtersOf, labelMatches, looseBoolean, passes, versionOf } from "./query.ts";
import { read } from "./read.ts";

export function nodeRoutes(app: Hono, backend: Backend): void {
  app.get("/nodes", async (c) => {
    const managers = await backend.managersHeard(c.req.raw.signal);
    return await read(c, backend, (view) => {
      const filters = filtersOf(c, ["id", "name", "label", "node.label", "role", "membership"]);
      for (
        const [key, allowed] of [["role", ["worker", "manager"]], ["membership", [
          "accepted",
          "pending",
        ]]] as const
      ) {
        const wrong = (filters.get(key) ?? []).find((value) =>
          !(allowed as readonly string[]).includes(value)
        );
        if (wrong !== undefined) {
          throw new FleetError("internal", `invalid ${key} filter: '${wrong}'`);
        }
      }
      return [...view.all("node")].filter((node) =>
        passes(node, filters, {
          id: (n, value) => n.ID.startsWith(value),
          name: (n, value) =>
            [n.Description?.Hostname, n.Spec.Name].some((name) => name?.startsWith(value)),
          label: (n, value) => labelMatches(n.Description?.Engine?.Labels, value),
          "node.label": (n, value) => labelMatches(n.Spec.Labels, value),
          role: (n, value) => n.Spec.Role === value,
          membership: (_, value) => value === "accepted",
        })
      ).map((node) => nodeJson(node, managers, Date.now()));
    });
  });

  app.get("/nodes/:id", async (c) => {
    const managers = await backend.managersHeard(c.req.raw.signal);
    const look = (view: View) =>
      nodeJson(lookUp(view, "node", c.req.param("id")), managers, Date.now());
    return await read(c, backend, look);
  });

  app.post("/nodes/:id/update", async (c) => {
    const version = versionOf(c, "node");
    const spec = await bodyOf(c, NodeSpec, "node spec");
    const { value: node } = await backend.read((view) => lookUp(view, "node", c.req.param("id")));
    await backend.call("node.update", { id: node.ID, version, spec }, c.req.raw.signal);
    return c.body(null, 200);
  });

  app.delete("/nodes/:id", async (c) => {
    const { value: node } = await backend.read((view) => lookUp(view, "node", c.req.param("id")));
    await backend.call(
      "node.remove",
      { id: node.ID, force: looseBoolean(c, "force") },
      c.req.raw.signal,
    );
    return c.body(null, 200);
  });
}
