import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { clusterNetworks, findNetwork, predefinedNetwork } from "../../core/control/networks.ts";
import { bool, labels, list, obj, opt, str } from "../../model/json.ts";
import type { Infer } from "../../model/json.ts";
import type { Network, NetworkSpec } from "../../model/network.ts";
import { IPAMConfig, NETWORK_LABEL } from "../../model/network.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { passOn, targetOf } from "../engine_fetch.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { networkDetails, networkResource } from "../projection/network.ts";
import { NETWORK_FILTERS, passesFilters } from "./network_filters.ts";
import { WorkerNetworks } from "./worker_networks.ts";
import { bodyOf, filtersOf, strictBoolean } from "./query.ts";

/** The body of `POST /networks/create`. */
const CreateRequest = obj({
  Name: opt(str),
  Driver: opt(str),
  Scope: opt(str),
  Internal: opt(bool),
  Attachable: opt(bool),
  Ingress: opt(bool),
  EnableIPv6: opt(bool),
  ConfigOnly: opt(bool),
  ConfigFrom: opt(obj({ Network: opt(str) })),
  IPAM: opt(obj({
    Driver: opt(str),
    Options: opt(labels),
    Config: opt(list(obj({ ...IPAMConfig.entries, AuxAddress: opt(labels) }))),
  })),
  Options: opt(labels),
  Labels: opt(labels),
});

interface EngineNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Containers?: Readonly<Record<string, unknown>> | null;
}

/** Networks of the cluster beside the engine's own, which it goes on managing itself. */
export function networkRoutes(app: Hono, backend: Backend, engine: EngineFetch): void {
  const worker = new WorkerNetworks(engine, NETWORK_LABEL);
  app.get("/networks", async (c) => {
    const response = await passOn(c, engine);
    if (!response.ok) return response;
    const local = (await response.json() as EngineNetwork[])
      .filter(({ Labels }) => Labels?.[NETWORK_LABEL] === undefined);
    const filters = filtersOf(c, NETWORK_FILTERS);
    if (!isManager(backend)) return c.json([...local, ...await worker.list(c, filters)]);
    const { value, stale } = await backend.read((view) =>
      clusterNetworks(view)
        .filter((network) => passesFilters(network, filters, (n) => isUsed(view, n)))
        .map((network) => networkResource(network))
    );
    if (stale) c.header("Fleet-Stale", "true");
    return c.json([...local, ...value]);
  });

  app.post("/networks/create", async (c) => {
    const request = await bodyOf(c, CreateRequest, "network");
    if (request.Driver !== "overlay" && request.Scope !== "swarm") return await passOn(c, engine);
    requireManager(backend);
    const spec = specOf(request);
    const { value: taken } = await backend.read((view) => view.byName("network", spec.Name ?? ""));
    if (taken) {
      throw new FleetError("conflict", `network with name ${spec.Name} already exists`);
    }
    const { id, warning } = await backend.call("network.create", { spec }, c.req.raw.signal);
    return c.json({ Id: id, Warning: warning }, 201);
  });

  app.get("/networks/:id", async (c) => {
    const scope = c.req.query("scope");
    const name = c.req.param("id");
    // Clients that are about to make a service ask for the cluster's own host, none or bridge.
    const found = await clusterNetwork(c, backend, name) ??
      (scope === "swarm" && isManager(backend)
        ? (await backend.read((view) => predefinedNetwork(view, name))).value
        : undefined);
    if (!found && scope !== "local" && !isManager(backend)) {
      const here = await worker.find(c, name);
      if (here) return c.json(here);
    }
    if (!found || scope === "local") return await passOn(c, engine);
    const local = await localPart(c, engine, found.ID);
    const verbose = strictBoolean(c, "verbose");
    const { value, stale } = await backend.read((view) => networkDetails(view, found, verbose));
    if (stale) c.header("Fleet-Stale", "true");
    return c.json({ ...value, Containers: local?.Containers ?? {} });
  });

  app.post("/fleet/network-keys/rotate", async (c) => {
    await backend.call("network.rotate-keys", {}, c.req.raw.signal);
    return c.body(null, 204);
  });
  app.delete("/networks/:id", async (c) => {
    const reference = c.req.param("id");
    const found = await clusterNetwork(c, backend, reference);
    if (!found) {
      // What is left here of a network that the cluster has removed goes by itself.
      if (await isLeftover(c, engine, reference)) {
        throw new FleetError("not-found", `network ${reference} not found`);
      }
      return await passOn(c, engine);
    }
    await backend.call("network.remove", { id: found.ID }, c.req.raw.signal);
    return c.body(null, 204);
  });

  app.all("/networks/*", (c) => passOn(c, engine));
}

function isManager(backend: Backend): boolean {
  const { state, manager } = backend.localState();
  return state === "active" && manager;
}

/** @throws FleetError unavailable, with the sentence for a node that is none */
function requireManager(backend: Backend): void {
  if (isManager(backend)) return;
  // Refuses by itself, in the words that belong to this node's state.
  backend.managerState();
  throw new FleetError(
    "unavailable",
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );
}

/** A network of the cluster by id, name, or the beginning of its id; undefined where the engine knows best. */
export async function clusterNetwork(
  context: Context,
  backend: Backend,
  reference: string,
): Promise<Network | undefined> {
  if (!isManager(backend)) return undefined;
  const { value } = await backend.read(
    (view) => findNetwork(view, reference),
    context.req.raw.signal,
  );
  return value;
}

/** The engine's part of a network on this node, if it has one. */
async function localPart(
  context: Context,
  engine: EngineFetch,
  id: string,
): Promise<EngineNetwork | undefined> {
  const version = /^\/v\d+\.\d+/.exec(targetOf(context))?.[0] ?? "";
  const filters = encodeURIComponent(JSON.stringify({ label: [`${NETWORK_LABEL}=${id}`] }));
  const listed = await engine(`${version}/networks?filters=${filters}`, { method: "GET" });
  const [first] = listed.ok ? await listed.json() as EngineNetwork[] : [];
  if (!first) return undefined;
  const full = await engine(`${version}/networks/${first.Id}`, { method: "GET" });
  return full.ok ? await full.json() as EngineNetwork : undefined;
}

/** Whether the engine has this network only as its part of one of the cluster. */
async function isLeftover(
  context: Context,
  engine: EngineFetch,
  reference: string,
): Promise<boolean> {
  const version = /^\/v\d+\.\d+/.exec(targetOf(context))?.[0] ?? "";
  const path = `${version}/networks/${encodeURIComponent(reference)}`;
  const response = await engine(path, { method: "GET" });
  const { Labels } = await response.json() as Partial<EngineNetwork>;
  return response.ok && Labels?.[NETWORK_LABEL] !== undefined;
}

function isUsed(view: View, { ID }: Network): boolean {
  for (const { Spec } of view.all("service")) {
    if (Spec.TaskTemplate?.Networks?.some(({ Target }) => Target === ID)) return true;
  }
  return false;
}

/** @throws FleetError invalid for what belongs to engine networks only */
function specOf(request: Infer<typeof CreateRequest>): NetworkSpec {
  if (request.ConfigOnly || request.ConfigFrom?.Network) {
    throw new FleetError(
      "invalid",
      "configuration-only networks belong to one node: leave --scope swarm and --driver overlay out",
    );
  }
  const { Name, Driver, Internal, Attachable, Ingress, EnableIPv6, IPAM, Options, Labels } =
    request;
  const Config = (IPAM?.Config ?? []).map(({ AuxAddress, ...config }) => ({
    ...config,
    ...(AuxAddress ? { AuxiliaryAddresses: AuxAddress } : {}),
  }));
  return {
    ...(Name === undefined ? {} : { Name }),
    Labels: Labels ?? {},
    Driver: { Name: Driver || "overlay", ...(Options ? { Options } : {}) },
    ...(EnableIPv6 ? { IPv6Enabled: true } : {}),
    ...(Internal ? { Internal: true } : {}),
    ...(Attachable ? { Attachable: true } : {}),
    ...(Ingress ? { Ingress: true } : {}),
    IPAMOptions: {
      Driver: IPAM?.Driver || "default",
      ...(IPAM?.Options ? { Options: IPAM.Options } : {}),
      ...(Config.length > 0 ? { Config } : {}),
    },
    Scope: "swarm",
  };
}
