import type { Context, Hono } from "hono";
import { kindOf, messageOf } from "../../base/errors.ts";
import type { AttachedPlace, Backend } from "../backend.ts";
import { passOn, targetOf } from "../engine_fetch.ts";
import type { EngineFetch } from "../engine_fetch.ts";
import { attachmentsOf, whoseNetwork } from "./attachments.ts";

/** The engine's own networks, on which the cluster has no places. */
const ENGINE_NETWORKS: ReadonlySet<string> = new Set(["bridge", "host", "none"]);
/** A container this young has the place that it was created with; most are started at once. */
const FRESH_MS = 5_000;

interface Endpoint {
  readonly IPAMConfig?: { readonly IPv4Address?: string } | null;
  readonly Aliases?: readonly string[] | null;
  readonly Links?: readonly string[] | null;
  readonly DriverOpts?: Record<string, string> | null;
}

interface Container {
  readonly Id: string;
  readonly Created: string;
  readonly State: { readonly Running?: boolean; readonly Status?: string };
  readonly Config?: { readonly Labels?: Record<string, string> | null };
  readonly NetworkSettings?: { readonly Networks?: Record<string, Endpoint> | null };
}

/**
 * `docker start` of a container that is on networks of the cluster: it gave its addresses back when it
 * stopped, so it gets others where somebody has them by now, and the engine is told of these first.
 */
export function containerStartRoute(app: Hono, backend: Backend, engine: EngineFetch): void {
  app.post("/containers/:id/start", async (c) => {
    if (backend.localState().state === "active") {
      const container = await find(c, engine, c.req.param("id"));
      if (container && await hasPlaces(c, engine, container)) {
        await prepare(c, backend, engine, container);
      }
    }
    return await passOn(c, engine);
  });
}

async function find(
  context: Context,
  engine: EngineFetch,
  reference: string,
): Promise<Container | undefined> {
  const path = `${version(context)}/containers/${encodeURIComponent(reference)}/json`;
  const response = await engine(path, { method: "GET" });
  const text = await response.text();
  // The engine words the refusal.
  if (!response.ok || text === "") return undefined;
  return JSON.parse(text) as Container;
}

/** Whether it has places on networks of the cluster that it may have given up. */
async function hasPlaces(
  context: Context,
  engine: EngineFetch,
  container: Container,
): Promise<boolean> {
  const { Running, Status } = container.State;
  if (Running) return false;
  if (Status === "created" && Date.now() - Date.parse(container.Created) < FRESH_MS) return false;
  if (attachmentsOf(container).length > 0) return true;
  for (const name of Object.keys(container.NetworkSettings?.Networks ?? {})) {
    if (ENGINE_NETWORKS.has(name)) continue;
    if (await whoseNetwork(context, engine, name) !== "the engine's") return true;
  }
  return false;
}

/** Has it get addresses again, and the engine know them. @throws FleetError conflict: there is none */
async function prepare(
  context: Context,
  backend: Backend,
  engine: EngineFetch,
  container: Container,
): Promise<void> {
  const request = { containerId: container.Id, taskIds: attachmentsOf(container) };
  let places;
  try {
    places = await backend.attachments.started(request, context.req.raw.signal);
  } catch (error) {
    if (!["unavailable", "timeout"].includes(kindOf(error))) throw error;
    // Nobody can have given its last address away meanwhile who could not tell of it later.
    backend.log(
      "warn",
      `container ${container.Id} starts with the address that it had last: ${messageOf(error)}`,
    );
    return;
  }
  for (const place of places) {
    const endpoint = container.NetworkSettings?.Networks?.[place.network];
    if (!endpoint || endpoint.IPAMConfig?.IPv4Address === place.address) continue;
    await move(context, engine, container.Id, { ...place, endpoint });
  }
}

/** Changes the engine's record of a container that does not run. */
async function move(
  context: Context,
  engine: EngineFetch,
  container: string,
  { network, address, mac, endpoint }: AttachedPlace & { network: string; endpoint: Endpoint },
): Promise<void> {
  const path = `${version(context)}/networks/${encodeURIComponent(network)}`;
  const { Aliases, Links, DriverOpts } = endpoint;
  const EndpointConfig = {
    Aliases: Aliases ?? [],
    ...(Links ? { Links } : {}),
    ...(DriverOpts ? { DriverOpts } : {}),
    IPAMConfig: { IPv4Address: address },
    ...(mac ? { MacAddress: mac } : {}),
  };
  await must(engine, `${path}/disconnect`, { Container: container, Force: true });
  await must(engine, `${path}/connect`, { Container: container, EndpointConfig });
}

async function must(engine: EngineFetch, path: string, body: unknown): Promise<void> {
  const response = await engine(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${text}`);
}

function version(context: Context): string {
  return /^\/v\d+\.\d+/.exec(targetOf(context))?.[0] ?? "";
}
