import type { Context, Hono } from "hono";
import { FleetError } from "../../base/errors.ts";
import { withoutLength } from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Applied, View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { passOn, targetOf } from "../engine_fetch.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { clusterNetwork } from "./networks.ts";

/** The label of a container that was created on a network of the cluster is this and its attachment's id. */
export const ATTACHMENT_LABEL = "io.fleet.attachment.";
/** An attachment that has no address and no network on this node after this long is given up. */
const READY_TIMEOUT_MS = 30_000;
/** Networks that one container may be created on; more than anybody has. */
const MAX_NETWORKS = 32;

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

/** A container's place on a network: the attachment's id, its address, and where names are answered. */
interface Place {
  readonly taskId: string;
  readonly address: string;
  readonly mac: string | undefined;
  readonly gateway: string;
}

/** `docker run --network` and `docker network connect` for networks of the cluster that allow it. */
export function attachmentRoutes(app: Hono, backend: Backend, engine: EngineFetch): void {
  app.post("/containers/create", async (c) => {
    const text = await c.req.text();
    const body = parsed(text);
    if (!body || backend.localState().state !== "active") return await passOn(c, engine);
    const networks = await clusterNetworksOf(c, backend, body);
    if (networks.size === 0) return await passOn(c, engine);
    const places = new Map<string, Place>();
    try {
      const name = c.req.query("name");
      for (const [key, network] of networks) {
        const endpoint = body.NetworkingConfig?.EndpointsConfig?.[key] ?? {};
        places.set(key, await attach(backend, network, endpoint, name ? { name } : {}));
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
    const network = await clusterNetwork(c, backend, c.req.param("id"));
    if (!network) return await passOn(c, engine);
    const request = parsed(await c.req.text()) as
      | { Container?: string; EndpointConfig?: EndpointConfig | null }
      | undefined;
    const container = await inspect(c, engine, request?.Container ?? "");
    const endpoint = request?.EndpointConfig ?? {};
    const place = await attach(backend, network, endpoint, {
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
    const network = await clusterNetwork(c, backend, c.req.param("id"));
    if (!network) return await passOn(c, engine);
    const request = parsed(await c.req.text()) as { Container?: string } | undefined;
    const container = await inspect(c, engine, request?.Container ?? "").catch(() => undefined);
    const response = await passOn(c, engine);
    if (response.ok && container) {
      const { nodeId } = backend.localState();
      const { value: tasks } = await backend.read((view) =>
        attachmentsOf(view, network.ID, nodeId, container)
      );
      for (const taskId of tasks) await backend.call("network.detach", { taskId, nodeId });
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
  body: ContainerBody,
): Promise<Map<string, Network>> {
  const mode = body.HostConfig?.NetworkMode;
  const names = [
    ...(typeof mode === "string" ? [mode] : []),
    ...Object.keys(body.NetworkingConfig?.EndpointsConfig ?? {}),
  ];
  const found = new Map<string, Network>();
  for (const name of new Set(names.slice(0, MAX_NETWORKS))) {
    if (["", "default", "bridge", "host", "none"].includes(name) || name.includes(":")) continue;
    const network = await clusterNetwork(context, backend, name);
    if (network && ![...found.values()].some(({ ID }) => ID === network.ID)) {
      found.set(name, network);
    }
  }
  return found;
}

/** Asks the leader for a place and waits until this node has the network. */
async function attach(
  backend: Backend,
  network: Network,
  endpoint: EndpointConfig,
  container: { name?: string; containerId?: string },
): Promise<Place> {
  const { nodeId } = backend.localState();
  const address = endpoint.IPAMConfig?.IPv4Address;
  const { taskId } = await backend.call("network.attach", {
    networkId: network.ID,
    nodeId,
    aliases: endpoint.Aliases ?? [],
    ...container,
    ...(address ? { address } : {}),
  });
  try {
    return await placeOf(backend, taskId, network, nodeId);
  } catch (error) {
    await backend.call("network.detach", { taskId, nodeId }).catch(() => null);
    throw error;
  }
}

/** Waits for the attachment to run here. @throws FleetError timeout, or why it cannot be had */
async function placeOf(
  backend: Backend,
  taskId: string,
  network: Network,
  nodeId: string,
): Promise<Place> {
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS);
  let reason = "";
  for (;;) {
    const next = Promise.withResolvers<void>();
    const stop = backend.watch((changes: readonly Applied[]) => {
      if (changes.some(({ object }) => object.ID === taskId || object.ID === network.ID)) {
        next.resolve();
      }
    });
    const onTimeout = () => next.resolve();
    signal.addEventListener("abort", onTimeout, { once: true });
    try {
      const { value } = await backend.read((view) => {
        const task = view.get("task", taskId);
        const attachment = task?.NetworksAttachments?.[0];
        const gateway = view.get("network", network.ID)?.Gateways?.[nodeId];
        reason = task?.Status.Err ?? "";
        if (!task || isTerminal(task.Status.State)) return "gone";
        if (task.Status.State !== "running" || !attachment?.Addresses?.[0] || !gateway) return;
        return {
          taskId,
          address: withoutLength(attachment.Addresses[0]),
          mac: attachment.MAC,
          gateway,
        };
      });
      if (typeof value === "object") return value;
      if (value === "gone" || signal.aborted) {
        throw new FleetError(
          "unavailable",
          `network ${network.Spec.Name} cannot be used on this node: ${
            reason || `it was not ready within ${READY_TIMEOUT_MS / 1000} s`
          }`,
        );
      }
      await next.promise;
    } finally {
      stop();
      signal.removeEventListener("abort", onTimeout);
    }
  }
}

function settings(endpoint: EndpointConfig, { address, mac }: Place): Record<string, unknown> {
  return {
    ...endpoint,
    IPAMConfig: { ...endpoint.IPAMConfig, IPv4Address: address },
    ...(mac ? { MacAddress: mac } : {}),
  };
}

/** The request with the addresses that the cluster gave, and its name server. */
function placed(
  body: ContainerBody,
  networks: ReadonlyMap<string, Network>,
  places: ReadonlyMap<string, Place>,
): ContainerBody {
  const endpoints: Record<string, unknown> = { ...body.NetworkingConfig?.EndpointsConfig };
  const Labels: Record<string, string> = { ...body.Labels };
  const dns: string[] = [];
  let mode = body.HostConfig?.NetworkMode;
  for (const [key, place] of places) {
    const name = networks.get(key)?.Spec.Name ?? key;
    const endpoint = (endpoints[key] ?? {}) as EndpointConfig;
    delete endpoints[key];
    endpoints[name] = settings(endpoint, place);
    if (mode === key) mode = name;
    Labels[`${ATTACHMENT_LABEL}${place.taskId}`] = "";
    dns.push(place.gateway);
  }
  const own = body.HostConfig?.Dns ?? [];
  return {
    ...body,
    Labels,
    HostConfig: {
      ...body.HostConfig,
      ...(mode === undefined ? {} : { NetworkMode: mode }),
      Dns: own.length > 0 ? own : dns,
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

function attachmentsOf(
  view: View,
  networkId: string,
  nodeId: string,
  container: { Id: string; Config?: { Labels?: Record<string, string> | null } },
): string[] {
  return [...view.tasksOfNode(nodeId)].filter((task) => {
    const attachment = task.Spec.NetworkAttachmentSpec;
    if (!attachment || task.NetworksAttachments?.[0]?.NetworkID !== networkId) return false;
    return attachment.ContainerID === container.Id ||
      container.Config?.Labels?.[`${ATTACHMENT_LABEL}${task.ID}`] !== undefined;
  }).map(({ ID }) => ID);
}

async function detachAll(backend: Backend, places: Iterable<Place>): Promise<void> {
  const { nodeId } = backend.localState();
  for (const { taskId } of places) {
    // The agent notices soon that there is no container.
    await backend.call("network.detach", { taskId, nodeId }).catch(() => null);
  }
}
