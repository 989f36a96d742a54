import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { ATTACHMENT_LABEL, attachmentIds, NETWORK_LABEL } from "../../model/network.ts";
import type { AttachedPlace, Backend } from "../backend.ts";
import { passOn, targetOf } from "../engine_fetch.ts";
import type { EngineFetch } from "../engine_fetch.ts";

/** Networks that one container may be created on; more than anybody has. */
const MAX_NETWORKS = 32;

interface FoundNetwork {
  readonly id: string;
  readonly name: string;
}

interface EndpointConfig {
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null;
  readonly Aliases?: readonly string[] | null;
  readonly [key: string]: unknown;
}

interface ContainerBody {
  readonly Labels?: Record<string, string> | null;
  readonly HostConfig?:
    | { NetworkMode?: string; Dns?: string[] | null; [key: string]: unknown }
    | null;
  readonly NetworkingConfig?:
    | { EndpointsConfig?: Record<string, EndpointConfig | null> | null }
    | null;
  readonly [key: string]: unknown;
}

/** `docker run --network` and `docker network connect` for networks of the cluster that allow it. */
export function attachmentRoutes(app: Hono, backend: Backend, engine: EngineFetch): void {
  app.post("/containers/create", async (c) => {
    const text = await c.req.text();
    const body = parsed(text);
    if (!body || backend.localState().state !== "active") return await passOn(c, engine);
    const networks = await clusterNetworksOf(c, backend, engine, body);
    if (networks.size === 0) return await passOn(c, engine);
    const places = new Map<string, AttachedPlace>();
    try {
      const name = c.req.query("name");
      const nameservers = body.HostConfig?.Dns ?? [];
      const container = {
        ...(name ? { name } : {}),
        ...(nameservers.length > 0 ? { nameservers } : {}),
      };
      for (const [key, network] of networks) {
        const endpoint = body.NetworkingConfig?.EndpointsConfig?.[key] ?? {};
        places.set(key, await attach(c, backend, network, endpoint, container));
      }
      const response = await passOn(c, engine, JSON.stringify(placed(body, networks, places)));
      if (!response.ok) await detachAll(backend, places.values());
      return response;
    } catch (error) {
      await detachAll(backend, places.values());
      throw error;
    }
  });

  app.post("/networks/:id/connect", async (c) => {
    const network = await clusterNetwork(c, backend, engine, c.req.param("id"));
    if (!network) return await passOn(c, engine);
    const request = parsed(await c.req.text()) as
      | { Container?: string; EndpointConfig?: EndpointConfig | null }
      | undefined;
    const container = await inspect(c, engine, request?.Container ?? "");
    const endpoint = request?.EndpointConfig ?? {};
    const place = await attach(c, backend, network, endpoint, {
      name: container.Name.replace(/^\//, ""),
      containerId: container.Id,
    });
    const response = await passOn(
      c,
      engine,
      JSON.stringify({ Container: container.Id, EndpointConfig: settings(endpoint, place) }),
    );
    if (!response.ok) await detachAll(backend, [place]);
    return response;
  });

  app.post("/networks/:id/disconnect", async (c) => {
    const network = await clusterNetwork(c, backend, engine, c.req.param("id"));
    if (!network) return await passOn(c, engine);
    const request = parsed(await c.req.text()) as { Container?: string } | undefined;
    const container = await inspect(c, engine, request?.Container ?? "").catch(() => undefined);
    const response = await passOn(c, engine);
    if (response.ok && container) {
      await backend.attachments.release({
        networkId: network.id,
        containerId: container.Id,
        taskIds: attachmentsOf(container),
      });
    }
    return response;
  });
}

function parsed(text: string): ContainerBody | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? value as ContainerBody : undefined;
  } catch {
    // The engine words the refusal.
    return undefined;
  }
}

/** By the name that the request has for it. */
async function clusterNetworksOf(
  context: Context,
  backend: Backend,
  engine: EngineFetch,
  body: ContainerBody,
): Promise<Map<string, FoundNetwork>> {
  const mode = body.HostConfig?.NetworkMode;
  const names = [
    ...(typeof mode === "string" ? [mode] : []),
    ...Object.keys(body.NetworkingConfig?.EndpointsConfig ?? {}),
  ];
  const found = new Map<string, FoundNetwork>();
  for (const name of new Set(names.slice(0, MAX_NETWORKS))) {
    if (["", "default", "bridge", "host", "none"].includes(name) || name.includes(":")) continue;
    const network = await clusterNetwork(context, backend, engine, name);
    if (network && ![...found.values()].some(({ id }) => id === network.id)) {
      found.set(name, network);
    }
  }
  return found;
}

/** A container's new place on a network. */
async function attach(
  context: Context,
  backend: Backend,
  network: FoundNetwork,
  endpoint: EndpointConfig,
  container: { name?: string; containerId?: string; nameservers?: readonly string[] },
): Promise<AttachedPlace> {
  const address = endpoint.IPAMConfig?.IPv4Address;
  return await backend.attachments.attach({
    networkId: network.id,
    aliases: endpoint.Aliases ?? [],
    ...container,
    ...(address ? { address } : {}),
  }, context.req.raw.signal);
}

/** A network of the cluster; undefined when the engine has one of its own by that name, or knows best. */
async function clusterNetwork(
  context: Context,
  backend: Backend,
  engine: EngineFetch,
  reference: string,
): Promise<FoundNetwork | undefined> {
  const { state, manager } = backend.localState();
  if (state !== "active") return undefined;
  if (manager) return await backend.attachments.find(reference);
  // A worker has to ask: not for networks that are here, which must work without any manager.
  const here = await whoseNetwork(context, engine, reference);
  if (here === "the engine's") return undefined;
  const found = await backend.attachments.find(reference);
  if (found || here === "nobody's") return found;
  throw new FleetError(
    "forbidden",
    `Could not attach to network ${reference}: rpc error: code = PermissionDenied desc = network ${reference} not manually attachable`,
  );
}

export async function whoseNetwork(
  context: Context,
  engine: EngineFetch,
  reference: string,
): Promise<"the engine's" | "the cluster's" | "nobody's"> {
  const version = /^\/v\d+\.\d+/.exec(targetOf(context))?.[0] ?? "";
  const path = `${version}/networks/${encodeURIComponent(reference)}`;
  const response = await engine(path, { method: "GET" });
  if (!response.ok) {
    await response.body?.cancel();
    return "nobody's";
  }
  const { Labels } = await response.json() as { Labels?: Record<string, string> | null };
  return Labels?.[NETWORK_LABEL] === undefined ? "the engine's" : "the cluster's";
}

function settings(
  endpoint: EndpointConfig,
  { address, mac }: AttachedPlace,
): Record<string, unknown> {
  return {
    ...endpoint,
    IPAMConfig: { ...endpoint.IPAMConfig, IPv4Address: address },
    ...(mac ? { MacAddress: mac } : {}),
  };
}

/** The request with the addresses that the cluster gave, and its name server. */
function placed(
  body: ContainerBody,
  networks: ReadonlyMap<string, FoundNetwork>,
  places: ReadonlyMap<string, AttachedPlace>,
): ContainerBody {
  const endpoints: Record<string, unknown> = { ...body.NetworkingConfig?.EndpointsConfig };
  const Labels: Record<string, string> = { ...body.Labels };
  const dns: string[] = [];
  let mode = body.HostConfig?.NetworkMode;
  for (const [key, place] of places) {
    const name = networks.get(key)?.name ?? key;
    const endpoint = (endpoints[key] ?? {}) as EndpointConfig;
    delete endpoints[key];
    endpoints[name] = settings(endpoint, place);
    if (mode === key) mode = name;
    Labels[`${ATTACHMENT_LABEL}${place.taskId}`] = "";
    dns.push(place.gateway);
  }
  return {
    ...body,
    Labels,
    HostConfig: {
      ...body.HostConfig,
      ...(mode === undefined ? {} : { NetworkMode: mode }),
      // Its own servers are asked by fleet's: names of the cluster come first.
      Dns: dns,
    },
    NetworkingConfig: { EndpointsConfig: endpoints as Record<string, EndpointConfig> },
  };
}

async function inspect(
  context: Context,
  engine: EngineFetch,
  reference: string,
): Promise<{ Id: string; Name: string; Config?: { Labels?: Record<string, string> | null } }> {
  const version = /^\/v\d+\.\d+/.exec(targetOf(context))?.[0] ?? "";
  const path = `${version}/containers/${encodeURIComponent(reference)}/json`;
  const response = await engine(path, { method: "GET" });
  if (response.ok) return await response.json();
  await response.body?.cancel();
  throw new FleetError("not-found", `No such container: ${reference}`);
}

/** The attachments that a container was made with. */
export function attachmentsOf(
  container: { Config?: { Labels?: Record<string, string> | null } },
): string[] {
  return attachmentIds(container.Config?.Labels);
}

async function detachAll(backend: Backend, places: Iterable<AttachedPlace>): Promise<void> {
  const taskIds = [...places].map(({ taskId }) => taskId);
  // The agent notices soon that there is no container.
  if (taskIds.length > 0) await backend.attachments.release({ taskIds }).catch(() => {});
}
