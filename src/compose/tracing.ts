import type { BuildInfo } from "../../cli/environment.ts";
import { requestRoute } from "../api/request_route.ts";
import { traced } from "../base/tracer.ts";
import type { Tracer } from "../base/tracer.ts";
import type { Executor } from "../core/task/controller.ts";

/** Where Deno puts its providers when its environment asks for traces (`OTEL_DENO=true`), as the API package has it. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");

/** Traces where they were asked for; the code for it loads only then. */
export async function tracerOf({ version }: BuildInfo): Promise<Tracer | undefined> {
  const { [REGISTERED]: found } = globalThis as { [REGISTERED]?: { trace?: unknown } };
  if (!found?.trace) return undefined;
  const { openTelemetry } = await import("../adapters/tracing/open_telemetry.ts");
  return openTelemetry(version);
}

type Handler = (request: Request) => Promise<Response>;

/** Requests that start this node's loops, which go on for ever: they must not run as parts of the request. */
const STARTS_LOOPS = new Set(["/swarm/init", "/swarm/join", "/swarm/unlock", "/fleet/restore"]);

/** Each request as a span: a part of the caller's trace when it names one. */
export function tracedApi(app: Handler, tracer: Tracer): Handler {
  return async (request) => {
    const { method, url, headers } = request;
    const route = requestRoute(url.slice(url.indexOf("/", url.indexOf("://") + 3)));
    const span = tracer.start(`${method} ${route}`, {
      parent: headers.get("traceparent") ?? tracer.current(),
      kind: "server",
      attributes: { "http.request.method": method, "http.route": route },
    });
    const answer = () => app(request);
    try {
      const response = await (STARTS_LOOPS.has(route) ? answer() : tracer.within(span, answer));
      span.set({ "http.response.status_code": response.status });
      span.end(response.status >= 500 ? new Error(`status ${response.status}`) : undefined);
      return response;
    } catch (error) {
      span.end(error);
      throw error;
    }
  };
}

/** What a node does to start a task of a traced request. */
export function tracedExecutor<E extends Executor>(executor: E, nodeId: string, tracer: Tracer): E {
  const controllerOf = executor.controller.bind(executor);
  executor.controller = (task) => {
    const controller = controllerOf(task);
    if (task.Trace === undefined) return controller;
    const options = {
      parent: task.Trace,
      attributes: {
        "fleet.task": task.ID,
        "fleet.node": nodeId,
        "fleet.service": task.ServiceAnnotations?.Name ?? "",
      },
    };
    const prepare = controller.prepare.bind(controller);
    const start = controller.start.bind(controller);
    controller.prepare = (signal) => traced(tracer, "task prepare", options, () => prepare(signal));
    controller.start = (signal) => traced(tracer, "task start", options, () => start(signal));
    return controller;
  };
  return executor;
}
