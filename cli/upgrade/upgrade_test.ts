import assert from "node:assert/strict";
import type { ApiNode } from "../api_types.ts";
import { FakeAgent, refusal } from "../testing/fake_agent.ts";
import type { SeenRequest } from "../testing/fake_agent.ts";
import { runFleet } from "../testing/fake_environment.ts";
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
  readonly agent = new FakeAgent((request) => this.before(request) ?? this.#answer(request));

  #answer({ method, path, query }: SeenRequest): unknown {
    if (path === "/nodes") {
      return Object.keys(this.runs).map((ID, i) => ({
        ID,
        Spec: { Name: `h${i + 1}` },
        Status: { State: "ready" },
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
  assert.equal(code, 0, err);
  assert.match(out, /h2 +worker +1\.0\.0 -> 1\.1\.0\nh3 +worker +does not answer\n/);
  assert.match(out, /left as they are: h3\. Run this again/);
  assert.deepEqual(cluster.asked, ["n2", "n1"]);
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
