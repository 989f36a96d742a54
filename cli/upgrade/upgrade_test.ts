import assert from "node:assert/strict";
import type { ApiNode } from "../api_types.ts";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import type { SeenRequest } from "../testing/fake_agent.ts";
import { NOW, runFleet } from "../testing/fake_environment.ts";
import { hostname, upgradeOrder } from "./nodes.ts";

Deno.test("workers are upgraded first, the leader last", () => {
  const node = (name: string, ManagerStatus?: ApiNode["ManagerStatus"]) =>
    ({ ID: name, Spec: { Name: name }, ...(ManagerStatus ? { ManagerStatus } : {}) }) as ApiNode;
  const order = upgradeOrder([
    node("a", { Leader: true }),
    node("c", { Reachability: "reachable" }),
    node("d"),
    node("b"),
  ]);
  assert.deepEqual(order.map(hostname), ["b", "d", "c", "a"]);
});

/** Two workers and a manager that runs them, all at 1.0.0, and one target. */
class Upgradable {
  /** What nodes run. */
  readonly runs: Record<string, string> = { n1: "1.0.0", n2: "1.0.0", n3: "1.0.0" };
  readonly trials = new Set<string>();
  readonly asked: string[] = [];
  /** Answers instead of the usual. */
  before: (request: SeenRequest) => unknown = () => undefined;
  /** Their states, where they are not ready. */
  readonly states: Record<string, string> = {};
  readonly agent = new FakeAgent((request) => this.before(request) ?? this.#answer(request));

  #answer({ method, path, query }: SeenRequest): unknown {
    if (path === "/nodes") {
      return Object.keys(this.runs).map((ID, i) => ({
        ID,
        Spec: { Name: `h${i + 1}` },
        Status: { State: this.states[ID] ?? "ready" },
        ...(i === 0 ? { ManagerStatus: { Leader: true, Reachability: "reachable" } } : {}),
      }));
    }
    const id = /^\/fleet\/nodes\/(n\d)\//.exec(path)?.[1] ?? "n1";
    const From = this.runs[id]!;
    if (method === "GET") {
      return { Version: From, Trial: this.trials.delete(id), RolledBack: "" };
    }
    if (query["check"]) return { From, To: "1.1.0" };
    this.asked.push(id);
    this.runs[id] = "1.1.0";
    return { From, To: "1.1.0" };
  }

  run = () => runFleet(["upgrade", "--all", "--yes"], { host: this.agent.host });
  [Symbol.asyncDispose] = () => this.agent[Symbol.asyncDispose]();
}

Deno.test("an upgrade that was interrupted goes on where it was", async () => {
  await using cluster = new Upgradable();
  // One is done, one has restarted with the new version and is not proven yet.
  cluster.runs["n2"] = cluster.runs["n3"] = "1.1.0";
  cluster.trials.add("n3");
  const { code, out, err } = await cluster.run();
  assert.equal(code, 0, err);
  assert.match(out, /^h2 +worker +1\.1\.0, up to date\nh3 +worker +1\.1\.0, on trial\nh1 +leader /);
  assert.match(out, /\nh3: 1\.1\.0\nh1: 1\.0\.0 -> 1\.1\.0\n/);
  assert.deepEqual(cluster.asked, ["n1"]);
});

Deno.test("a node that restarts when it is asked is waited for, one that is silent left alone", async () => {
  await using cluster = new Upgradable();
  let silent = 3;
  cluster.before = ({ path }) => {
    if (path === "/fleet/nodes/n2/about" && silent-- > 0) return refusal(503, "no session");
    if (path === "/fleet/nodes/n3/about") return refusal(503, "no session");
  };
  const { code, out, err } = await cluster.run();
  assert.equal(code, 3, out);
  assert.match(out, /h2 +worker +1\.0\.0 -> 1\.1\.0\nh3 +worker +does not answer\n/);
  assert.match(out, /left as they are: h3\.\n/);
  assert.match(err, /^error: done, except h3, whose version is not known: run this again/);
  assert.deepEqual(cluster.asked, ["n2", "n1"]);
});

Deno.test("after a change of leader nodes that nobody has heard of yet are waited for", async () => {
  await using cluster = new Upgradable();
  for (const id of ["n1", "n2", "n3"]) cluster.states[id] = "unknown";
  let looks = 0;
  cluster.before = ({ path }) => {
    if (path !== "/nodes") return undefined;
    looks++;
    if (looks === 3) return refusal(503, "no leader");
    if (looks === 6) cluster.states["n2"] = cluster.states["n3"] = "ready";
    if (looks === 9) cluster.states["n1"] = "ready";
  };
  const { code, out, err } = await cluster.run();
  assert.equal(code, 0, err);
  assert.equal(
    err,
    "The managers have not heard from h1, h2, h3 yet, as after a change of leader: waiting up to 60 s.\n",
  );
  assert.match(out, /^h2 +worker +1\.0\.0 -> 1\.1\.0\n/);
  assert.deepEqual(cluster.asked, ["n2", "n3", "n1"]);
});

Deno.test("nobody is called up to date whose version is not known", async () => {
  await using cluster = new Upgradable();
  for (const id of ["n1", "n2", "n3"]) cluster.runs[id] = "1.1.0";
  cluster.states["n2"] = "unknown";
  cluster.states["n3"] = "down";
  const { code, out, err, env } = await cluster.run();
  assert.equal(code, 3);
  assert.match(out, /^h2 +worker +unknown\nh3 +worker +down\nh1 +leader +1\.1\.0, up to date\n$/);
  assert.match(
    err,
    /\nerror: nothing to do, but the version of h2, h3 is not known: run this again/,
  );
  assert.ok(env.now() - NOW >= 60_000 && env.now() - NOW < 70_000);
  assert.deepEqual(cluster.asked, []);
  cluster.states["n2"] = cluster.states["n3"] = "ready";
  const again = await cluster.run();
  assert.equal(again.code, 0, again.err);
  assert.match(again.out, /\nEvery node is up to date\.\n$/);
});

Deno.test("an answer that was lost is no upgrade that was not begun", async () => {
  await using cluster = new Upgradable();
  cluster.before = ({ method, path }) => {
    if (method !== "POST" || path !== "/fleet/nodes/n2/upgrade") return undefined;
    cluster.asked.push("n2");
    cluster.runs["n2"] = "1.1.0";
    return refusal(503, "the leader is gone");
  };
  const { code, err } = await cluster.run();
  assert.equal(code, 0, err);
  assert.deepEqual(cluster.asked, ["n2", "n3", "n1"]);
});

Deno.test("what ends an upgrade says what was not touched, and that it goes on", async () => {
  await using cluster = new Upgradable();
  cluster.before = ({ method, path }) =>
    method === "POST" && path === "/fleet/nodes/n3/upgrade"
      ? refusal(500, "no space left")
      : undefined;
  const { code, err } = await cluster.run();
  assert.equal(code, 1);
  assert.equal(
    err,
    "error: h3: no space left. Not touched: h1. Run this again, on any manager: it goes on where it was.\n",
  );
});
