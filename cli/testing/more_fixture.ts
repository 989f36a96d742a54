import { type Answer, refusal } from "./fake_agent.ts";
import { answerFixture, NETWORKS, NODES, SERVICES, TASKS } from "./fixture.ts";

/** What fleet's own routes answer for the cluster of fixture.ts, and what else its verbs ask for. */

const LOGS = "2026-11-20T11:59:00.000000001Z";
const STACK = "com.docker.stack.namespace";
const HEALTH = {
  Version: "1.2.3",
  TimeMs: Date.UTC(2026, 10, 20, 12),
  Engine: { Version: "20.10.24", Problem: "" },
  Overlay: "",
  Kernel: { ipForwarding: true },
  Disks: [{ path: "/var/lib/fleet", free: 1e9, total: 100e9 }],
  Mtu: 1500,
  CertificateUntilMs: Date.UTC(2027, 0, 20),
  Trial: false,
  RolledBack: "",
};
const FACTS = {
  ClusterID: "clusterclusterclustercluster".slice(0, 25),
  CreatedAt: "2026-11-20T11:00:00Z",
  Version: "1.2.3",
  NodeID: NODES[1]!.ID,
  AdvertiseAddr: "10.0.0.1:2377",
  Nodes: 3,
  Managers: 2,
  Services: 5,
  Tasks: 5,
  Secrets: 2,
  Configs: 1,
  Networks: 2,
  Autolock: false,
};
const MOVE = {
  Task: "t1",
  Name: "web2.2",
  From: { ID: NODES[1]!.ID, Name: "h1" },
  To: { ID: NODES[2]!.ID, Name: "h2" },
  Why: "h1 has 4 tasks, h2 has none",
};
const POLICY = { Rebalance: "on-join", MovesPerMinute: 5, Privileged: false, Devices: true };
const EVENT = {
  Type: "service",
  Action: "update",
  Actor: { ID: "s21", Attributes: { name: "web2", "updatestate.new": "completed" } },
  time: 1_795_176_000,
  timeNano: 1_795_176_000_123_456_789,
};
const AUDIT = {
  ID: "a1",
  Time: "2026-11-20T11:58:00.000Z",
  Actor: "root (uid 0)",
  Via: "h1",
  Action: "service.update",
  Object: { Type: "service", ID: "s21web2", Name: "web2" },
  From: 20,
  To: 21,
  Result: "ok",
};

const ROUTES: Readonly<Record<string, unknown>> = {
  "GET /fleet/audit": [AUDIT],
  "GET /fleet/tokens": [{
    ID: "tok1aaaaaaaaaaaaaaaaaaaaa",
    Role: "worker",
    UsesLeft: 1,
    ExpiresAt: "2026-11-20T13:00:00.000Z",
    NodeLabels: { zone: "b" },
    CreatedAt: "2026-11-20T11:00:00.000Z",
  }],
  "POST /fleet/tokens/create": { ID: "tok1aaaaaaaaaaaaaaaaaaaaa", Token: "SWMTKN-1-root-once" },
  "DELETE /fleet/tokens/tok1": {},
  "GET /fleet/policy": POLICY,
  "POST /fleet/policy": {},
  "POST /fleet/network-keys/rotate": {},
  "POST /fleet/ui/links": { URL: "http://127.0.0.1:2380/#link=once", SecondsLeft: 300 },
  "POST /fleet/backup/inspect": FACTS,
  "POST /fleet/backup/restore": FACTS,
  "GET /fleet/rebalance": [],
  "GET /fleet/rebalance/plan": [MOVE],
  "POST /fleet/rebalance": { ID: "r1", Plan: [MOVE], MovesPerMinute: 5 },
  "GET /fleet/info": {
    Tolerance: "2 managers, 1 reachable: no changes until one more is there",
    Managers: 2,
    ManagersReachable: 1,
  },
};

const SHOP = SERVICES.slice(0, 1).map((service) => ({
  ...service,
  Spec: { ...service.Spec, Name: "shop_web", Labels: { [STACK]: "shop" } },
}));

/** Whether a request asks for the stack's objects, or for all. */
const asksForStack = (query: Readonly<Record<string, string>>) =>
  (query["filters"] ?? "").includes(STACK);

export const answerMore: Answer = (request) => {
  const { method, path, query } = request;
  const known = ROUTES[`${method} ${path}`];
  if (known !== undefined) return known;
  if (path === "/events") return new Response(`${JSON.stringify(EVENT)}\n`);
  if (path === "/fleet/backup") return new Response(new Uint8Array(2_345));
  if (/^\/fleet\/(self|nodes\/[^/]+)\//.test(path)) return ofNode(path, query);
  if (/^\/services\/[^/]+\/logs$/.test(path)) {
    return new Response(log(query["timestamps"] !== undefined));
  }
  if (asksForStack(query)) {
    if (path === "/services") return /=(none|new)"/.test(query["filters"]!) ? [] : SHOP;
    if (path === "/tasks") return TASKS.slice(0, 1);
    if (path === "/networks" || path === "/secrets" || path === "/configs") return [];
  }
  if (path === "/networks/create") return { Id: "newnetwork", Warning: "" };
  if (path === "/networks") return NETWORKS;
  if (/^\/fleet\/(secrets|configs)\/[^/]+\/rotate$/.test(path)) {
    return { ID: "version2", Services: ["web2"] };
  }
  return answerFixture(request);
};

function ofNode(path: string, query: Readonly<Record<string, string>>): unknown {
  const what = path.split("/").at(-1);
  if (what === "health") return HEALTH;
  if (what === "about") return { Version: "1.2.2", Trial: false, RolledBack: "" };
  if (what === "upgrade") return { From: "1.2.2", To: query["check"] ? "1.2.3" : "1.2.2" };
  return refusal(503, "no session");
}

/** One line of a task's standard output, and one of its errors, as Docker frames them. */
function log(timestamps: boolean): Uint8Array<ArrayBuffer> {
  const details = `com.docker.swarm.node.id=${NODES[1]!.ID},` +
    `com.docker.swarm.service.id=${SERVICES[1]!.ID},com.docker.swarm.task.id=${TASKS[1]!.ID}`;
  const frames = [[1, "hello"], [2, "no such page"]].map(([stream, text]) => {
    const payload = new TextEncoder().encode(`${timestamps ? `${LOGS} ` : ""}${details} ${text}\n`);
    const frame = new Uint8Array(8 + payload.length);
    frame[0] = Number(stream);
    new DataView(frame.buffer).setUint32(4, payload.length);
    frame.set(payload, 8);
    return frame;
  });
  return Uint8Array.from(frames.flatMap((frame) => [...frame]));
}
