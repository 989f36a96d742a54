import { Hono } from "hono";
import type { Context } from "hono";
import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { asActor } from "../actor.ts";
import type { Backend } from "../backend.ts";
import { errorResponse } from "../error_status.ts";
import { STREAM_HEADER } from "../front/front.ts";
import { apiPath } from "../front/route_choice.ts";
import { eventStream } from "./event_stream.ts";
import { LiveFeed } from "./live_feed.ts";
import {
  cookieOf,
  endedCookie,
  isSameOrigin,
  mayPass,
  securityHeaders,
  sessionCookie,
} from "./security.ts";
import type { UiSession, UiSessions } from "./sessions.ts";
import { stackPlan } from "./stack_plan.ts";
import { openTerminal } from "./terminal.ts";
import type { WebSocketUpgrade } from "./terminal.ts";
import { usageOf } from "./usage.ts";

/** A file of the page, compressed already. */
export interface UiAsset {
  readonly type: string;
  readonly gzip: Uint8Array;
}

export interface UiOptions {
  readonly backend: Backend;
  readonly sessions: UiSessions;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether browsers reach it by https. */
  readonly secure: boolean;
  /** A file of the page by its path without the slash, e.g. `index.html`. */
  readonly asset: (path: string) => UiAsset | undefined;
  /** The agent's API for one user. */
  readonly api: (user: string) => (request: Request) => Promise<Response>;
  readonly upgrade: WebSocketUpgrade;
}

interface Variables {
  Variables: { session: UiSession };
}

/** The dashboard: its page, its sessions, the live feed, and the part of the API that its role allows. */
export function createUi(options: UiOptions): {
  readonly fetch: (request: Request) => Promise<Response>;
  close(): void;
} {
  const { backend, sessions, clock, random, secure } = options;
  const newText = (bytes: number) => random.bytes(bytes).toHex();
  const feed = new LiveFeed(backend, clock, newText(6));
  const app = new Hono<Variables>();
  app.onError((error) => {
    if (!(error instanceof FleetError)) {
      backend.log("error", `a request of the dashboard failed: ${messageOf(error)}`);
    }
    return errorResponse(error);
  });
  app.notFound((c) => c.json({ message: "page not found" }, 404));
  app.use(async (c, next) => {
    const nonce = newText(16);
    c.set("nonce" as never, nonce as never);
    await next();
    // A socket's answer is the platform's and cannot be changed.
    if (c.res.status === 101) return;
    for (const [name, value] of Object.entries(securityHeaders(nonce))) {
      if (!c.res.headers.has(name)) c.res.headers.set(name, value);
    }
    if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
  });

  app.post("/session", async (c) => {
    if (!isSameOrigin(c.req.raw)) throw crossSite();
    const { link } = await c.req.json().catch(() => ({})) as { link?: unknown };
    if (typeof link !== "string") throw new FleetError("invalid", "a link is needed");
    const session = sessions.openLink(link);
    c.header("set-cookie", sessionCookie(session, secure, clock.now()));
    return c.json(about(session));
  });

  const guard = async (c: Context<Variables>, next: () => Promise<void>) => {
    const session = sessions.find(cookieOf(c.req.header("cookie") ?? null, secure));
    if (!session) {
      throw new FleetError("unauthorized", "you are not logged in: get a link with fleet ui");
    }
    if (c.req.method !== "GET") {
      if (!isSameOrigin(c.req.raw) || c.req.header("x-fleet-csrf") !== session.csrf) {
        throw crossSite();
      }
    }
    c.set("session", session);
    await next();
  };
  app.use("/session", guard);
  app.use("/live/*", guard);
  app.use("/api/*", guard);

  const about = (session: UiSession) => ({
    role: session.role,
    user: session.user,
    csrf: session.csrf,
    expiresAt: session.expiresAtMs,
    version: backend.build.version,
  });
  app.get("/session", (c) => c.json(about(c.get("session"))));
  app.delete("/session", (c) => {
    sessions.end(c.get("session").id);
    c.header("set-cookie", endedCookie(secure));
    return c.body(null, 204);
  });

  app.get("/live/snapshot", async (c) => compressed(c, await feed.snapshot()));
  app.get("/live/history/:service", (c) => c.json(feed.history(c.req.param("service"))));
  app.get(
    "/live/usage/:node",
    async (c) => c.json(await usageOf(backend, c.req.param("node"), c.req.raw.signal)),
  );
  app.post(
    "/live/stacks/:name/plan",
    async (c) => c.json(await stackPlan(backend, c.req.param("name"), await c.req.text())),
  );
  app.get("/live/stream", (c) => {
    const { id } = c.get("session");
    return eventStream({
      feed,
      clock,
      from: c.req.header("last-event-id") ?? c.req.query("from") ?? "",
      valid: () => sessions.find(id) !== undefined,
      signal: c.req.raw.signal,
    });
  });
  app.get("/live/terminal/:task", (c) => {
    const session = c.get("session");
    if (!isSameOrigin(c.req.raw)) throw crossSite();
    const own = asActor(backend, userOf(session));
    return openTerminal(c, { backend: own, session, upgrade: options.upgrade });
  });

  app.all("/api/*", async (c) => {
    const url = new URL(c.req.url);
    const target = url.pathname.slice("/api".length);
    const { role } = c.get("session");
    if (!mayPass(role, c.req.method, apiPath(target))) {
      throw new FleetError(
        "forbidden",
        role === "operator" || c.req.method === "GET"
          ? `the dashboard does not serve ${c.req.method} ${
            apiPath(target)
          }: use the agent's socket`
          : "this session may only look: get a link of an operator with fleet ui",
      );
    }
    const response = await options.api(userOf(c.get("session")))(
      new Request(`http://fleet${target}${url.search}`, {
        method: c.req.method,
        signal: c.req.raw.signal,
        ...(c.req.method === "GET" ? {} : {
          body: await c.req.text(),
          headers: { "content-type": "application/json" },
        }),
      }),
    );
    const headers = new Headers(response.headers);
    headers.delete(STREAM_HEADER);
    return new Response(response.body, { status: response.status, headers });
  });

  app.get("/*", async (c) => {
    const path = c.req.path === "/" ? "index.html" : c.req.path.slice(1);
    const asset = options.asset(path);
    if (!asset) return c.notFound();
    const nonce = c.get("nonce" as never) as string;
    if (path === "index.html") {
      const page = (await inflate(asset.gzip)).replaceAll("{{nonce}}", nonce);
      return c.html(page);
    }
    c.header("content-type", asset.type);
    // Names carry a digest of the content, but for the few that browsers ask for by a fixed name.
    c.header("cache-control", "public, max-age=31536000, immutable");
    if (!(c.req.header("accept-encoding") ?? "").includes("gzip")) {
      return c.body(await inflate(asset.gzip));
    }
    c.header("content-encoding", "gzip");
    return c.body(asset.gzip as Uint8Array<ArrayBuffer>);
  });

  return { fetch: async (request) => await app.fetch(request), close: () => feed.close() };
}

/** In the audit log's words. */
function userOf({ user }: UiSession): string {
  return `dashboard (${user})`;
}

function crossSite(): FleetError {
  return new FleetError("forbidden", "this request does not come from the dashboard's own page");
}

/** Large answers are worth the compression; the caller's browser always takes it. */
function compressed(c: Context<Variables>, value: unknown): Response {
  const text = JSON.stringify(value);
  if (text.length < 8_192 || !(c.req.header("accept-encoding") ?? "").includes("gzip")) {
    return c.body(text, 200, { "content-type": "application/json" });
  }
  const body = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return c.body(body, 200, { "content-type": "application/json", "content-encoding": "gzip" });
}

async function inflate(gzip: Uint8Array): Promise<string> {
  const stream = new Blob([gzip as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).text();
}
