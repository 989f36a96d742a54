import { Hono } from "hono";
import { messageOf } from "../base/errors.ts";
import { FleetError } from "../base/errors.ts";
import type { Backend } from "./backend.ts";
import { asActor } from "./actor.ts";
import { errorResponse } from "./error_status.ts";
import { apiPath } from "./front/route_choice.ts";
import { auditRoutes } from "./routes/audit.ts";
import { containerStartRoute } from "./routes/container_start.ts";
import { backupRoutes } from "./routes/backup.ts";
import { doctorRoutes } from "./routes/doctor.ts";
import type { ProbePort } from "./routes/doctor.ts";
import { eventRoutes } from "./routes/events.ts";
import { fileObjectRoutes } from "./routes/file_objects.ts";
import { attachmentRoutes } from "./routes/attachments.ts";
import { logRoutes } from "./routes/logs.ts";
import { networkPruneRoute } from "./routes/network_prune.ts";
import { networkRoutes } from "./routes/networks.ts";
import { policyRoutes } from "./routes/policy.ts";
import { nodeQuestionRoutes } from "./routes/node_questions.ts";
import { nodeRoutes } from "./routes/nodes.ts";
import { serviceRoutes } from "./routes/services.ts";
import { swarmRoutes } from "./routes/swarm.ts";
import { remoteContainerRoutes } from "./routes/remote_containers.ts";
import { uiRoutes } from "./routes/ui.ts";
import type { UiLinks } from "./routes/ui.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { systemRoutes } from "./routes/system.ts";
import type { EngineFetch } from "./engine_fetch.ts";
import type { EventHistory } from "./events/event_history.ts";
import { EngineWords } from "./engine_words.ts";
import { inManagersWords } from "./manager_words.ts";
import type { LocalNetworks } from "./local_networks.ts";

export interface AppOptions {
  /** Who asks by it, in the audit log's words. */
  readonly actor: string;
  /** The cluster's events since this node runs, for all users. */
  readonly history: EventHistory;
  /** Absent where no dashboard is served. */
  readonly uiLinks: () => UiLinks | undefined;
  readonly probe: ProbePort;
  /** Absent outside a cluster. */
  readonly networks: () => LocalNetworks | undefined;
}

/** fleet's part of the Engine API, with and without version prefix, for one user. */
export function createApp(
  node: Backend,
  engine: EngineFetch,
  options: AppOptions,
): (request: Request) => Promise<Response> {
  const words = new EngineWords(engine);
  const app = createRoutes(node, engine, words, options);
  return async (request) => {
    await words.learn();
    try {
      words.check(targetOf(request.url));
    } catch (error) {
      return words.sign(errorResponse(error));
    }
    return words.sign(await app.fetch(request));
  };
}

/** The routes themselves, for one user. */
export function createRoutes(
  node: Backend,
  engine: EngineFetch,
  words: EngineWords,
  { actor, uiLinks, history, networks, probe }: AppOptions,
): Hono {
  const backend = inManagersWords(asActor(node, actor));
  const app = new Hono({ getPath: routePath });
  app.onError((error) => {
    if (!(error instanceof FleetError)) {
      backend.log("error", `a request failed: ${messageOf(error)}`);
    }
    return errorResponse(error);
  });
  app.notFound((c) => c.json({ message: "page not found" }, 404));
  systemRoutes(app, backend, engine, { networks, words });
  eventRoutes(app, history, engine);
  doctorRoutes(app, backend, probe);
  attachmentRoutes(app, backend, engine);
  containerStartRoute(app, backend, engine);
  networkPruneRoute(app, backend, engine);
  networkRoutes(app, backend, engine);
  swarmRoutes(app, backend);
  logRoutes(app, backend);
  remoteContainerRoutes(app, backend);
  tokenRoutes(app, backend);
  policyRoutes(app, backend);
  backupRoutes(app, backend);
  auditRoutes(app, backend);
  uiRoutes(app, uiLinks, actor);
  nodeQuestionRoutes(app, backend);
  nodeRoutes(app, backend);
  serviceRoutes(app, backend, engine);
  fileObjectRoutes(app, backend, "secret");
  fileObjectRoutes(app, backend, "config");
  return app;
}

/** What routes are chosen by: without version prefix, and a slash at the end means nothing. */
function routePath(request: Request): string {
  const path = apiPath(targetOf(request.url));
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Path and query of an absolute URL. */
function targetOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  return start < 0 ? "/" : url.slice(start);
}
