import assert from "node:assert/strict";
import { SeededRandom } from "../../base/random.ts";
import { FakeCluster } from "../../../tests/support/fake_cluster.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { createUi } from "./app.ts";
import { MAX_STREAMS } from "./event_stream.ts";
import { LINK_LIFE_MS, SESSION_LIFE_MS, UiSessions } from "./sessions.ts";
import type { UiRole } from "./sessions.ts";

const HOST = "fleet.test:2380";
const SAME = { origin: `http://${HOST}`, host: HOST, "sec-fetch-site": "same-origin" };

function setUp(tasks = 3) {
  const clock = new ManualClock();
  const random = new SeededRandom(1);
  const sessions = new UiSessions(clock, random);
  const cluster = new FakeCluster();
  cluster.fill({ nodes: 2, services: 1, tasks });
  const asked: string[] = [];
  const ui = createUi({
    backend: cluster.backend(),
    sessions,
    clock,
    random,
    secure: false,
    asset: () => undefined,
    api: (user) => (request) => {
      asked.push(`${user}: ${request.method} ${new URL(request.url).pathname}`);
      return Promise.resolve(Response.json({ ok: true }));
    },
    upgrade: () => {
      throw new Error("no socket in this test");
    },
  });
  const fetch = (path: string, init: RequestInit = {}) =>
    ui.fetch(new Request(`http://${HOST}${path}`, init));
  const logIn = async (role: UiRole) => {
    const link = sessions.createLink(role, `${role} of root`);
    const body = JSON.stringify({ link });
    const response = await fetch("/session", { method: "POST", headers: SAME, body });
    assert.equal(response.status, 200);
    const cookie = response.headers.get("set-cookie")!;
    const { csrf } = await response.json() as { csrf: string };
    return { cookie: cookie.split(";")[0]!, csrf, setCookie: cookie };
  };
  return { clock, sessions, cluster, asked, fetch, logIn, close: () => ui.close() };
}

Deno.test("a link works once and for five minutes, and its session for half a day", async () => {
  const { clock, sessions, fetch, logIn, close } = setUp();
  const open = (link: string) =>
    fetch("/session", { method: "POST", headers: SAME, body: JSON.stringify({ link }) });
  const link = sessions.createLink("operator", "root");
  assert.equal((await open(link)).status, 200);
  const again = await open(link);
  assert.equal(again.status, 401);
  assert.match((await again.json() as { message: string }).message, /used already or is older/);
  const late = sessions.createLink("operator", "root");
  await clock.advance(LINK_LIFE_MS);
  assert.equal((await open(late)).status, 401);
  const { cookie } = await logIn("operator");
  assert.equal((await fetch("/live/snapshot", { headers: { cookie } })).status, 200);
  await clock.advance(SESSION_LIFE_MS);
  assert.equal((await fetch("/live/snapshot", { headers: { cookie } })).status, 401);
  close();
});

Deno.test("the cookie is out of reach for scripts and other sites", async () => {
  const { logIn, close } = setUp();
  assert.match((await logIn("operator")).setCookie, /; HttpOnly; SameSite=Strict;/);
  close();
});

Deno.test("a forged cookie is nobody's", async () => {
  const { fetch, close } = setUp();
  for (
    const path of [
      "/session",
      "/live/snapshot",
      "/live/stream",
      "/api/services",
      "/live/terminal/x",
    ]
  ) {
    for (
      const cookie of ["", "fleet-session=", "fleet-session=guess", "x=1; fleet-session=../.."]
    ) {
      assert.equal((await fetch(path, { headers: { cookie } })).status, 401, path);
    }
  }
  close();
});

Deno.test("a post of another site's page changes nothing", async () => {
  const { fetch, logIn, asked, close } = setUp();
  const { cookie, csrf } = await logIn("operator");
  const post = (headers: Record<string, string>) =>
    fetch("/api/services/x/update?version=1", {
      method: "POST",
      headers: { cookie, ...headers },
      body: "{}",
    });
  assert.equal((await post({})).status, 403);
  assert.equal((await post({ ...SAME })).status, 403);
  assert.equal((await post({ ...SAME, "x-fleet-csrf": "guess" })).status, 403);
  assert.equal((await post({ "x-fleet-csrf": csrf })).status, 403);
  const evil = { origin: "https://evil.example", host: HOST, "x-fleet-csrf": csrf };
  assert.equal((await post(evil)).status, 403);
  const sameSite = { ...SAME, "sec-fetch-site": "same-site", "x-fleet-csrf": csrf };
  assert.equal((await post(sameSite)).status, 403);
  assert.deepEqual(asked, []);
  assert.equal((await post({ ...SAME, "x-fleet-csrf": csrf })).status, 200);
  assert.deepEqual(asked, ["dashboard (operator of root): POST /services/x/update"]);
  close();
});

Deno.test("over HTTP/2, without a Host header, one's own page is known by the address", async () => {
  const { fetch, sessions, close } = setUp();
  const open = (origin: string) =>
    fetch("/session", {
      method: "POST",
      headers: { origin, "sec-fetch-site": "same-origin" },
      body: JSON.stringify({ link: sessions.createLink("operator", "root") }),
    });
  assert.equal((await open("https://evil.example")).status, 403);
  assert.equal((await open(`https://${HOST}`)).status, 200);
  close();
});

Deno.test("a session sees and does what its role allows, and no secret's value", async () => {
  const { fetch, logIn, asked, close } = setUp();
  const watcher = await logIn("read-only");
  const operator = await logIn("operator");
  const ask = async ({ cookie, csrf }: typeof watcher, method: string, path: string) =>
    (await fetch(`/api${path}`, {
      method,
      headers: { cookie, ...SAME, "x-fleet-csrf": csrf },
      ...(method === "GET" ? {} : { body: "{}" }),
    })).status;
  assert.equal(await ask(watcher, "GET", "/services/x"), 200);
  assert.equal(await ask(watcher, "GET", "/v1.41/services/x/logs"), 200);
  assert.equal(await ask(watcher, "POST", "/services/x/update"), 403);
  assert.equal(await ask(operator, "POST", "/nodes/x/update"), 200);
  const before = asked.length;
  for (
    const path of [
      "/swarm",
      "/swarm/unlockkey",
      "/configs",
      "/configs/x",
      "/secrets/x",
      "/fleet/tokens",
      "/containers/x/json",
      "/services/../swarm",
      "/services/%2e%2e/swarm/unlockkey",
    ]
  ) assert.equal(await ask(operator, "GET", path), 403, path);
  for (
    const path of ["/swarm/update", "/services/create", "/fleet/ui/links", "/containers/create"]
  ) {
    assert.equal(await ask(operator, "POST", path), 403, path);
  }
  assert.equal(asked.length, before);
  close();
});

Deno.test("every answer carries the policy", async () => {
  const { fetch, close } = setUp();
  for (const path of ["/session", "/nothing", "/live/snapshot"]) {
    const { headers } = await fetch(path);
    const policy = headers.get("content-security-policy")!;
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self';/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.equal(headers.get("cache-control"), "no-store");
  }
  close();
});

/** Reads a stream's text until `done` likes it. */
async function readUntil(response: Response, clock: ManualClock, done: (text: string) => boolean) {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!done(text)) {
    const next = reader.read();
    await clock.advance(100);
    const { value, done: over } = await next;
    if (over) break;
    text += value;
  }
  await reader.cancel();
  return text;
}

Deno.test("a reader that comes back gets what it missed, or is told to begin again", async () => {
  const { clock, cluster, fetch, logIn, close } = setUp();
  const { cookie } = await logIn("read-only");
  const headers = { cookie };
  const { at, rows } = await (await fetch("/live/snapshot", { headers })).json() as {
    at: string;
    rows: { task: { id: string; state: string }[] };
  };
  assert.equal(rows.task.length, 3);
  const stream = (from: string) =>
    fetch("/live/stream", { headers: { ...headers, "last-event-id": from } });
  cluster.setState(rows.task[0]!.id, "failed");
  await clock.advance(60);
  const missed = await readUntil(await stream(at), clock, (text) => text.includes("event: beat"));
  assert.match(missed, /^id: \w+\.1$/m);
  assert.match(missed, /"state":"failed"/);
  for (const from of ["", "other.1", `${at.split(".")[0]}.999`]) {
    const text = await readUntil(await stream(from), clock, (t) => t.includes("event:"));
    assert.match(text, /event: again/, from);
  }
  for (let i = 0; i < 600; i++) {
    cluster.setState(rows.task[1]!.id, i % 2 === 0 ? "failed" : "running");
    await clock.advance(60);
  }
  assert.match(
    await readUntil(await stream(at), clock, (t) => t.includes("event:")),
    /event: again/,
  );
  close();
});

Deno.test("a reader that does not read is let go; the others go on", async () => {
  const { clock, cluster, fetch, logIn, close } = setUp(1_000);
  const { cookie } = await logIn("read-only");
  const headers = { cookie };
  const { at } = await (await fetch("/live/snapshot", { headers })).json() as { at: string };
  const slow = await fetch("/live/stream", { headers: { ...headers, "last-event-id": at } });
  const long = "x".repeat(900);
  for (let i = 0; i < 5; i++) {
    cluster.apply(...[...cluster.store.all("task")].map((task) => ({
      op: "update" as const,
      table: "task" as const,
      object: { ...task, Status: { ...task.Status, Err: `${i}${long}` } },
    })));
    await clock.advance(60);
  }
  const text = await readUntil(slow, clock, (t) => t.includes("event: again"));
  assert.match(text, /event: again\ndata: slow/);
  assert.ok(text.length < 7 * 1024 * 1024, `${text.length} bytes were held`);
  close();
});

Deno.test("a thousand idle streams keep nobody out of the page", async () => {
  const { fetch, logIn, close } = setUp();
  const { cookie } = await logIn("read-only");
  const headers = { cookie };
  const { at } = await (await fetch("/live/snapshot", { headers })).json() as { at: string };
  const open: Response[] = [];
  let refused = 0;
  for (let i = 0; i < 1_000; i++) {
    const response = await fetch(`/live/stream?from=${at}`, { headers });
    if (response.status === 200) open.push(response);
    else {
      assert.equal(response.status, 503);
      refused++;
    }
  }
  assert.equal(open.length, MAX_STREAMS);
  assert.equal(refused, 1_000 - MAX_STREAMS);
  assert.equal((await fetch("/live/snapshot", { headers })).status, 200);
  await open.pop()!.body!.cancel();
  const next = await fetch(`/live/stream?from=${at}`, { headers });
  assert.equal(next.status, 200);
  await Promise.all([next, ...open].map((response) => response.body!.cancel()));
  close();
});
