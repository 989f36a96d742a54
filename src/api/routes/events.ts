import type { Context, Hono } from "hono";
import type { Applied } from "../../model/view.ts";
import { nodeName } from "../../model/node.ts";
import type { Objects } from "../../model/objects.ts";
import { replicasOf } from "../../model/service.ts";
import { taskName } from "../../model/task.ts";
import type { Backend } from "../backend.ts";
import { STREAM_HEADER } from "../front/front.ts";
import type { EngineFetch } from "../engine_fetch.ts";

/** Types whose events come from the cluster; `task` is beyond Docker. */
const CLUSTER_TYPES = ["service", "node", "secret", "config", "network", "task"];
/** Events that wait for a reader who is slow; a slower one loses the stream. */
const MAX_WAITING = 1_000;
const encoder = new TextEncoder();

interface EventFilters {
  readonly type?: readonly string[];
  readonly event?: readonly string[];
  readonly scope?: readonly string[];
}

/** `/events`: the engine's stream with the cluster's events between. */
export function eventRoutes(app: Hono, backend: Backend, engine: EngineFetch): void {
  app.get("/events", async (c) => {
    const url = new URL(c.req.url);
    const filters = readFilters(c);
    const controller = new AbortController();
    c.req.raw.signal.addEventListener("abort", () => controller.abort(), { once: true });
    const response = await engine(`${url.pathname}${url.search}`, {
      method: "GET",
      signal: controller.signal,
    });
    if (!response.ok || !response.body) {
      return new Response(response.body, {
        status: response.status,
        headers: { "content-type": "application/json" },
      });
    }
    const merged = mergeEvents(response.body, backend, filters, controller);
    return new Response(merged, {
      headers: { "content-type": "application/json", [STREAM_HEADER]: "1" },
    });
  });
}

function readFilters(c: Context): EventFilters {
  try {
    const raw = JSON.parse(c.req.query("filters") || "{}") as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(raw).map((
        [key, value],
      ) => [key, Array.isArray(value) ? value : Object.keys(value as object)]),
    );
  } catch {
    return {};
  }
}

function mergeEvents(
  engine: ReadableStream<Uint8Array>,
  backend: Backend,
  filters: EventFilters,
  controller: AbortController,
): ReadableStream<Uint8Array> {
  let unwatch: () => void = () => {};
  return new ReadableStream<Uint8Array>({
    start(out) {
      unwatch = backend.watch((changes) => {
        for (const change of changes) {
          const event = eventOf(change);
          if (!event || !wanted(event, filters)) continue;
          if ((out.desiredSize ?? 0) < -MAX_WAITING) return controller.abort();
          out.enqueue(encoder.encode(JSON.stringify(event) + "\n"));
        }
      });
      void forward(engine, out).finally(() => {
        unwatch();
        try {
          out.close();
        } catch {
          // The reader went first.
        }
      });
    },
    cancel() {
      unwatch();
      controller.abort();
    },
  });
}

/** Whole lines of the engine's stream, so that no event is cut in two by one of ours. */
async function forward(
  engine: ReadableStream<Uint8Array>,
  out: ReadableStreamDefaultController<Uint8Array>,
): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of engine) {
      const text = rest + decoder.decode(chunk, { stream: true });
      const end = text.lastIndexOf("\n") + 1;
      rest = text.slice(end);
      if (end > 0) out.enqueue(encoder.encode(text.slice(0, end)));
    }
    if (rest !== "") out.enqueue(encoder.encode(rest));
  } catch {
    // The client left, or the engine went away: the stream ends either way.
  }
}

interface ClusterEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
  readonly scope: "swarm";
  readonly time: number;
  readonly timeNano: number;
}

function wanted(event: ClusterEvent, filters: EventFilters): boolean {
  if (filters.type && !filters.type.includes(event.Type)) return false;
  if (filters.event && !filters.event.includes(event.Action)) return false;
  return !filters.scope || filters.scope.includes("swarm");
}

/** The event of a change, or undefined for changes that nobody outside cares about. */
function eventOf(change: Applied): ClusterEvent | undefined {
  if (!CLUSTER_TYPES.includes(change.table)) return undefined;
  const attributes = attributesOf(change);
  if (!attributes) return undefined;
  const ms = change.op === "remove"
    ? Date.now()
    : Date.parse(change.op === "create" ? change.object.CreatedAt : change.object.UpdatedAt);
  return {
    Type: change.table,
    Action: change.op,
    Actor: { ID: change.object.ID, Attributes: attributes },
    scope: "swarm",
    time: Math.floor(ms / 1000),
    timeNano: ms * 1_000_000,
  };
}

function attributesOf(change: Applied): Record<string, string> | undefined {
  if (change.table === "node") {
    const node = change.object as Objects["node"];
    const before = change.previous as Objects["node"] | undefined;
    const changed = before
      ? {
        ...pair("state", before.Status.State, node.Status.State),
        ...pair("availability", before.Spec.Availability, node.Spec.Availability),
        ...pair("role", before.Spec.Role, node.Spec.Role),
      }
      : {};
    return { name: nodeName(node), ...changed };
  }
  if (change.table === "service") {
    const service = change.object as Objects["service"];
    const before = change.previous as Objects["service"] | undefined;
    const image = (s: Objects["service"]) => s.Spec.TaskTemplate?.ContainerSpec?.Image;
    const changed = before
      ? {
        ...pair("image", image(before), image(service)),
        ...pair("replicas", String(replicasOf(before.Spec)), String(replicasOf(service.Spec))),
        ...pair("updatestate", before.UpdateStatus?.State, service.UpdateStatus?.State),
      }
      : {};
    return { name: service.Spec.Name ?? "", ...changed };
  }
  if (change.table === "task") {
    const task = change.object as Objects["task"];
    const before = change.previous as Objects["task"] | undefined;
    if (
      before && before.Status.State === task.Status.State &&
      before.DesiredState === task.DesiredState
    ) return undefined;
    return {
      name: taskName(task),
      service: task.ServiceAnnotations?.Name ?? "",
      state: task.Status.State,
      desired: task.DesiredState,
      ...(task.NodeID ? { node: task.NodeID } : {}),
      ...(task.Status.Err ? { error: task.Status.Err } : {}),
    };
  }
  return { name: (change.object as Objects["secret"]).Spec.Name ?? "" };
}

function pair(
  key: string,
  before: string | undefined,
  after: string | undefined,
): Record<string, string> {
  if (before === after) return {};
  return {
    ...(before === undefined ? {} : { [`${key}.old`]: before }),
    ...(after === undefined ? {} : { [`${key}.new`]: after }),
  };
}
