import { FakeAgent, refusal } from "../../cli/testing/fake_agent.ts";
import type { SeenRequest } from "../../cli/testing/fake_agent.ts";

/**
 * Answers what a client asks while it deploys a stack into a cluster that has nothing yet but what is
 * declared as external. Ids are `id-NAME`.
 */
export function emptyCluster(request: SeenRequest): Response | unknown {
  const { method, path, body, query } = request;
  if (path === "/_ping") {
    return new Response("OK", {
      headers: { "Api-Version": "1.49", Ostype: "linux", Swarm: "active/manager" },
    });
  }
  if (path === "/info") return { Swarm: { ControlAvailable: true, LocalNodeState: "active" } };
  if (method === "POST" && path.endsWith("/create")) {
    const { Name } = body as { Name: string };
    return path.startsWith("/networks") ? { Id: `id-${Name}` } : { ID: `id-${Name}` };
  }
  if (path === "/networks/host") return { Name: "host", Id: "id-host", Scope: "host" };
  if (["/networks", "/services", "/tasks", "/nodes"].includes(path)) return [];
  if (path === "/secrets" || path === "/configs") {
    const { name = {} } = JSON.parse(query["filters"] ?? "{}") as { name?: Record<string, true> };
    return Object.keys(name).map((Name) => ({ ID: `id-${Name}`, Spec: { Name } }));
  }
  return refusal(404, "not found");
}

export interface Written {
  readonly path: string;
  readonly body: { readonly Name: string } & Readonly<Record<string, unknown>>;
}

/** What `deploy` writes into such a cluster, sorted by path and name. */
export async function recordDeploy(deploy: (host: string) => Promise<void>): Promise<Written[]> {
  await using agent = new FakeAgent(emptyCluster);
  await deploy(agent.host);
  return agent.writes.map(({ path, body }) => ({ path, body: body as Written["body"] }))
    .sort((a, b) => `${a.path} ${a.body.Name}` < `${b.path} ${b.body.Name}` ? -1 : 1);
}

/** Without what means nothing: null, "", false, and empty lists and objects. Keys sorted. */
export function meaning(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaning);
  if (typeof value !== "object" || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) {
    const kept = meaning((value as Record<string, unknown>)[key]);
    const empty = typeof kept === "object" && kept !== null && Object.keys(kept).length === 0 &&
      !["Global", "GlobalJob", "Replicated"].includes(key);
    if (kept === null || kept === undefined || kept === "" || kept === false || empty) continue;
    out[key] = kept;
  }
  return out;
}
