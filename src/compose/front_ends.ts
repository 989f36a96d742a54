import type { AgentOptions } from "../../cli/environment.ts";
import type { Engine } from "../adapters/docker/engine.ts";
import { probePort } from "../adapters/host/tcp_probe.ts";
import { createApp } from "../api/app.ts";
import type { AppOptions } from "../api/app.ts";
import type { Backend } from "../api/backend.ts";
import { requestRoute } from "../api/request_route.ts";
import type { Meter } from "../base/meter.ts";
import type { Tracer } from "../base/tracer.ts";
import { EventHistory } from "../api/events/event_history.ts";
import { tracedApi } from "./tracing.ts";
import type { RunningUi } from "./ui.ts";

type Api = (user: string) => (request: Request) => Promise<Response>;

/** Users whose routes are kept; few people have the socket. */
const MAX_USERS = 64;

/** The agent's API for each user that asks, so that the audit log can say who it was. */
export function apiByUser(
  backend: Backend,
  engine: Engine,
  { meter, tracer, ...shown }: Pick<AppOptions, "uiLinks" | "networks"> & {
    readonly meter: Meter | undefined;
    readonly tracer: Tracer | undefined;
  },
): Api {
  const history = new EventHistory(backend, Date.now);
  const apps = new Map<string, (request: Request) => Promise<Response>>();
  return (user) => {
    const known = apps.get(user);
    if (known) return known;
    if (apps.size >= MAX_USERS) apps.clear();
    const made = createApp(backend, (target, init) => engine.raw(target, init), {
      actor: user,
      history,
      probe: probePort,
      ...shown,
    });
    const timed = meter ? measured(made, meter) : made;
    const app = tracer ? tracedApi(timed, tracer) : timed;
    apps.set(user, app);
    return app;
  };
}

type Handler = (request: Request) => Promise<Response>;

function measured(app: Handler, meter: Meter): Handler {
  return async (request) => {
    const started = performance.now();
    const response = await app(request);
    meter.observe("api_request_seconds", (performance.now() - started) / 1000, {
      route: requestRoute(request.url.slice(request.url.indexOf("/", "http://".length))),
      method: request.method,
      status: String(response.status),
    });
    return response;
  };
}

/** The dashboard, where it was asked for; its code loads only then. */
export async function startUi(
  { uiAddr, uiCert, uiKey }: AgentOptions,
  backend: Backend,
  api: Api,
): Promise<RunningUi | undefined> {
  if (!uiAddr) return undefined;
  const { serveUi } = await import("./ui.ts");
  const ui = await serveUi({
    address: uiAddr,
    ...(uiCert ? { certFile: uiCert } : {}),
    ...(uiKey ? { keyFile: uiKey } : {}),
    backend,
    api,
  });
  backend.log("info", `the dashboard is on ${ui.url}: fleet ui logs you in`);
  return ui;
}
