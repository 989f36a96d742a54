import type { Context, Hono } from "hono";
import { daysLeft } from "../../core/pki/renewal_schedule.ts";
import { timeText } from "../../model/meta.ts";
import { clusterOf } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import type { LocalNetworks } from "../local_networks.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { clusterWarnings } from "../projection/warnings.ts";
import type { Warnings } from "../projection/warnings.ts";
import type { EngineWords } from "../engine_words.ts";
import { clusterInfoJson } from "../projection/cluster.ts";
import { toleranceSentence } from "../tolerance.ts";

/** `Swarm` header of `/_ping`: by it clients show or hide the cluster's commands. */
function swarmHeader(backend: Backend): string {
  const { state, manager } = backend.localState();
  return state === "active" ? `active/${manager ? "manager" : "worker"}` : state;
}

export function systemRoutes(
  app: Hono,
  backend: Backend,
  engine: EngineFetch,
  { networks, words }: {
    readonly networks: () => LocalNetworks | undefined;
    readonly words: EngineWords;
  },
): void {
  const warnings = clusterWarnings();
  app.on(["GET", "HEAD"], "/_ping", async (c) => {
    const response = await engine("/_ping", { method: c.req.method });
    words.note(response.headers);
    const headers = new Headers(response.headers);
    for (const name of ["connection", "transfer-encoding"]) headers.delete(name);
    headers.set("Swarm", swarmHeader(backend));
    return new Response(c.req.method === "HEAD" ? null : await response.arrayBuffer(), {
      status: response.status,
      headers,
    });
  });

  app.get("/info", async (c) => {
    const response = await engine(new URL(c.req.url).pathname, { method: "GET" });
    const info = await response.json() as Record<string, unknown>;
    if (!response.ok) return c.json(info, response.status as 500);
    return c.json(infoWithWarnings(info, await swarmStanza(backend, warnings, c.req.raw.signal)));
  });

  app.get("/fleet/ping", (c) => c.text("OK"));
  app.get("/fleet/info", (c) => fleetInfo(c, backend, networks()));
}

/** The engine's answer with the cluster's part; the stock client prints the list of the outermost level only. */
export function infoWithWarnings(
  info: Readonly<Record<string, unknown>>,
  swarm: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const own = swarm["Warnings"] as readonly string[] | undefined ?? [];
  if (own.length === 0) return { ...info, Swarm: swarm };
  const engines = Array.isArray(info["Warnings"]) ? info["Warnings"] : [];
  return {
    ...info,
    Warnings: [...engines, ...own.map((sentence) => `WARNING: ${sentence}`)],
    Swarm: swarm,
  };
}

async function swarmStanza(
  backend: Backend,
  warnings: Warnings,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const local = backend.localState();
  const base = {
    NodeID: local.nodeId,
    NodeAddr: local.nodeAddr,
    LocalNodeState: local.state,
    ControlAvailable: local.manager,
    Error: local.error,
    RemoteManagers: local.remoteManagers.length > 0 ? local.remoteManagers : null,
  };
  if (!local.manager) return base;
  const { managers } = await backend.managersHeard(signal);
  const voters = managers.filter((manager) => manager.voter);
  const seen = voters.filter((manager) => manager.reachable).length;
  const { value } = await backend.read((view) => ({
    nodes: view.count("node"),
    cluster: clusterOf(view),
    warnings: warnings.sentences(view, voters.length, seen, Date.now()),
  }));
  return {
    ...base,
    Nodes: value.nodes,
    Managers: managers.length,
    ...(value.warnings.length > 0 ? { Warnings: value.warnings } : {}),
    ...(value.cluster ? { Cluster: clusterInfoJson(value.cluster) } : {}),
  };
}

function networksJson({ mesh, networks, drift, audits, problems }: LocalNetworks) {
  return {
    Mesh: mesh ?? "",
    Networks: networks,
    Drift: drift,
    Audits: audits,
    Problems: problems,
  };
}

/** What Docker's API has no word for. */
async function fleetInfo(
  c: Context,
  backend: Backend,
  networks: LocalNetworks | undefined,
): Promise<Response> {
  const local = backend.localState();
  const build = {
    Version: backend.build.version,
    Commit: backend.build.commit,
    BuildKind: backend.build.buildKind,
    DenoVersion: backend.build.denoVersion,
  };
  const base = {
    ...build,
    LocalNodeState: local.state,
    NodeID: local.nodeId,
    NodeAddr: local.nodeAddr,
    ControlAvailable: local.manager,
    ...(networks && local.state === "active" ? { Networks: networksJson(networks) } : {}),
    ...(local.certificateNotAfterMs === undefined ? {} : {
      CertificateExpiry: timeText(local.certificateNotAfterMs),
      CertificateDaysLeft: daysLeft(local.certificateNotAfterMs, Date.now()),
    }),
  };
  if (!local.manager) return c.json(base);
  const { managers, leaderId } = await backend.managersHeard(c.req.raw.signal);
  const voters = managers.filter((manager) => manager.voter);
  const seen = voters.filter((manager) => manager.reachable).length;
  const joining = managers.length - voters.length;
  const { value: nodes, stale } = await backend.read((view) => view.count("node"));
  if (stale) c.header("Fleet-Stale", "true");
  // No majority answered: whoever seems to be there, it is a minority.
  const minority = Math.max(1, Math.floor(voters.length / 2));
  const reachable = stale ? Math.min(seen, minority) : seen;
  return c.json({
    ...base,
    LeaderID: leaderId,
    Nodes: nodes,
    Managers: managers.length,
    ManagersReachable: reachable,
    Tolerance: toleranceSentence(voters.length, reachable) +
      (joining > 0 ? `; ${joining} more still catching up` : ""),
  });
}
