import type { Context, Hono } from "hono";
import type { Backend } from "../backend.ts";
import { eventOf } from "../cluster_event.ts";
import type { ClusterEvent } from "../cluster_event.ts";
import type { EventHistory } from "../event_history.ts";
import { STREAM_HEADER } from "../front/front.ts";
import type { EngineFetch } from "../engine_fetch.ts";

/** Events that wait for a reader who is slow; a slower one loses the stream. */
const MAX_WAITING = 1_000;
const encoder = new TextEncoder();

type EventFilters = Readonly<Record<string, readonly string[]>>;

/** `/events`: the engine's stream with the cluster's events between. */
export function eventRoutes(
  app: Hono,
  backend: Backend,
  engine: EngineFetch,
  history: EventHistory,
): void {
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
    const since = timeOf(c.req.query("since"));
    const untilMs = timeOf(c.req.query("until")) ?? Infinity;
    const before = since === undefined ? [] : history.between(since, untilMs);
    const merged = mergeEvents(response.body, backend, { filters, before, untilMs }, controller);
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

/** Seconds since 1970 with a fraction, as clients send them; milliseconds. */
function timeOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(ms) ? ms : undefined;
}

function mergeEvents(
  engine: ReadableStream<Uint8Array>,
  backend: Backend,
  { filters, before, untilMs }: {
    readonly filters: EventFilters;
    /** What happened before, as far as it was asked for. */
    readonly before: readonly ClusterEvent[];
    readonly untilMs: number;
  },
  controller: AbortController,
): ReadableStream<Uint8Array> {
  let unwatch: () => void = () => {};
  return new ReadableStream<Uint8Array>({
    start(out) {
      for (const event of before) {
        if (wanted(event, filters)) out.enqueue(encoder.encode(JSON.stringify(event) + "\n"));
      }
      unwatch = backend.watch((changes) => {
        for (const change of changes) {
          const event = eventOf(change);
          if (!event || event.timeNano > untilMs * 1e6 || !wanted(event, filters)) continue;
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

/** Values of one key are alternatives; keys must all match. */
function wanted(event: ClusterEvent, filters: EventFilters): boolean {
  const { ID, Attributes } = event.Actor;
  for (const [key, values] of Object.entries(filters)) {
    const matches = (value: string): boolean => {
      if (key === "type") return event.Type === value;
      if (key === "event") return event.Action === value;
      if (key === "scope") return value === "swarm";
      // A task is also its service's and its node's.
      if (event.Type === "task" && (key === "service" || key === "node")) {
        return Attributes[key] === value;
      }
      return event.Type === key && (ID === value || Attributes["name"] === value);
    };
    if (!values.some(matches)) return false;
  }
  return true;
}
