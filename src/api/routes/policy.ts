import type { Hono } from "hono";
import { DEFAULT_MOVES_PER_MINUTE } from "../../core/orchestrator/relocate.ts";
import { planRebalance } from "../../core/scheduler/rebalance.ts";
import { Policy } from "../../model/cluster.ts";
import { obj, opt, str } from "../../model/json.ts";
import { nodeName } from "../../model/node.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { lookUp } from "./lookup.ts";
import { bodyOf } from "./query.ts";
import { read } from "./read.ts";

const StartBody = obj({ Service: opt(str), Node: opt(str) });

/** fleet's own settings and the even spread of tasks, under /fleet/. */
export function policyRoutes(app: Hono, backend: Backend): void {
  app.get("/fleet/policy", (c) => read(c, backend, settings));
  app.post("/fleet/policy", async (c) => {
    const policy = await bodyOf(c, Policy, "policy");
    await backend.call("policy.update", { policy }, c.req.raw.signal);
    return c.body(null, 200);
  });

  /** What would move now, and why; changes nothing. */
  app.get("/fleet/rebalance/plan", (c) =>
    read(c, backend, (view) => {
      const scope = scopeOf(view, { Service: c.req.query("service"), Node: c.req.query("node") });
      return planOf(view, scope);
    }));
  app.get(
    "/fleet/rebalance",
    (c) => read(c, backend, (view) => clusterOf(view)?.Rebalances ?? []),
  );
  app.post("/fleet/rebalance", async (c) => {
    const body = await bodyOf(c, StartBody, "rebalance");
    const { value } = await backend.read((view) => {
      const scope = scopeOf(view, body);
      return { scope, plan: planOf(view, scope), policy: settings(view) };
    });
    const { id } = await backend.call("rebalance.start", value.scope, c.req.raw.signal);
    return c.json({ ID: id, Plan: value.plan, MovesPerMinute: value.policy.MovesPerMinute }, 201);
  });
}

/** With every default written out. */
function settings(view: View): Required<Policy> {
  return {
    Rebalance: "never",
    MovesPerMinute: DEFAULT_MOVES_PER_MINUTE,
    Privileged: false,
    Devices: false,
    ...clusterOf(view)?.Policy,
  };
}

interface Scope {
  readonly serviceId?: string;
  readonly nodeId?: string;
}

function scopeOf(
  view: View,
  { Service, Node }: { readonly Service?: string | undefined; readonly Node?: string | undefined },
): Scope {
  return {
    ...(Service ? { serviceId: lookUp(view, "service", Service).ID } : {}),
    ...(Node ? { nodeId: lookUp(view, "node", Node).ID } : {}),
  };
}

function planOf(view: View, { serviceId, nodeId }: Scope) {
  const name = (id: string) => {
    const node = view.get("node", id);
    return node ? nodeName(node) : id;
  };
  return planRebalance(view, {
    nowMs: Date.now(),
    ...(serviceId === undefined ? {} : { serviceId }),
    ...(nodeId === undefined ? {} : { toNodeId: nodeId }),
  }).map((move) => ({
    TaskID: move.taskId,
    ServiceID: move.serviceId,
    Name: move.name,
    From: { ID: move.from, Name: name(move.from) },
    To: { ID: move.to, Name: name(move.to) },
    Why: move.why,
  }));
}
