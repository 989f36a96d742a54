import type { Context, Hono } from "hono";
import { NS_PER_MS, parseDuration } from "../../base/duration.ts";
import { FleetError } from "../../base/errors.ts";
import { clusterNetworks, networkUsers } from "../../core/control/networks.ts";
import { NETWORK_LABEL } from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import type { Backend } from "../backend.ts";
import { passOn, targetOf } from "../engine_fetch.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { filtersOf, labelMatches } from "./query.ts";

const FILTERS = ["label", "label!", "until"];
const UNUSED = "label!";

interface Report {
  readonly NetworksDeleted?: readonly string[] | null;
}

/**
 * `docker network prune`: the engine removes its own unused networks, but none that is its part of one of
 * the cluster: on those nobody has to be for published ports to be answered. A manager then removes the
 * cluster's unused ones, except the mesh's.
 */
export function networkPruneRoute(app: Hono, backend: Backend, engine: EngineFetch): void {
  app.post("/networks/prune", async (c) => {
    const { state, manager } = backend.localState();
    if (state !== "active") return await passOn(c, engine);
    const filters = filtersOf(c, FILTERS);
    const response = await engine(sparing(c, filters), { method: "POST" });
    if (!response.ok || !manager) {
      return new Response(await response.arrayBuffer(), {
        status: response.status,
        headers: { "content-type": response.headers.get("content-type") ?? "application/json" },
      });
    }
    const { NetworksDeleted } = await response.json() as Report;
    const removed = await removeUnused(c, backend, filters);
    const all = [...NetworksDeleted ?? [], ...removed];
    return c.json({ NetworksDeleted: all.length > 0 ? all : null });
  });
}

/** The same request of the engine, without what is fleet's. */
function sparing(context: Context, filters: ReadonlyMap<string, readonly string[]>): string {
  const [path = ""] = targetOf(context).split("?", 1);
  const all = new Map(filters).set(UNUSED, [...filters.get(UNUSED) ?? [], NETWORK_LABEL]);
  return `${path}?filters=${encodeURIComponent(JSON.stringify(Object.fromEntries(all)))}`;
}

async function removeUnused(
  context: Context,
  backend: Backend,
  filters: ReadonlyMap<string, readonly string[]>,
): Promise<string[]> {
  const { signal } = context.req.raw;
  const { value } = await backend.read((view) => {
    const until = filters.get("until")?.[0];
    const untilMs = until === undefined ? Infinity : momentOf(until, Date.now());
    return clusterNetworks(view).filter((network) =>
      !network.Spec.Ingress && networkUsers(view, network.ID).length === 0 &&
      Date.parse(network.CreatedAt) <= untilMs && isChosen(network, filters)
    );
  }, signal);
  const removed: string[] = [];
  for (const { ID, Spec } of value) {
    try {
      await backend.call("network.remove", { id: ID }, signal);
      removed.push(Spec.Name ?? ID);
    } catch (error) {
      // Somebody was quicker: it is used now, or gone.
      if (!(error instanceof FleetError) || !["invalid", "not-found"].includes(error.kind)) {
        throw error;
      }
    }
  }
  return removed;
}

function isChosen(
  { Spec }: Network,
  filters: ReadonlyMap<string, readonly string[]>,
): boolean {
  return (filters.get("label") ?? []).every((wanted) => labelMatches(Spec.Labels, wanted)) &&
    !(filters.get(UNUSED) ?? []).some((unwanted) => labelMatches(Spec.Labels, unwanted));
}

/** A moment as Docker's filters have it: a duration before now, seconds since 1970, or a time. */
function momentOf(text: string, nowMs: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const time = Date.parse(text);
  return Number.isNaN(time) ? nowMs - parseDuration(text) / NS_PER_MS : time;
}
