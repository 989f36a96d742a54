import type { Hono } from "hono";
import type { EngineFetch } from "../engine_fetch.ts";
import type { EventHistory } from "../events/event_history.ts";
import { readEventQuery } from "../events/event_query.ts";
import { mergeEvents } from "../events/merge_events.ts";
import { STREAM_HEADER } from "../front/front.ts";

/** `/events`: the engine's stream with the cluster's events between. */
export function eventRoutes(app: Hono, history: EventHistory, engine: EngineFetch): void {
  app.get("/events", async (c) => {
    const url = new URL(c.req.url);
    const query = readEventQuery((name) => c.req.query(name));
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
    const merged = mergeEvents({
      engine: response.body,
      past: history.past(query),
      follow: (listener) => history.follow(query, listener),
      abort: () => controller.abort(),
    });
    return new Response(merged, {
      headers: { "content-type": "application/json", [STREAM_HEADER]: "1" },
    });
  });
}
