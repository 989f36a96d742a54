/** Requests that are nearly right: answered with a sentence, never with a crash, and without a change. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { api } from "./cluster_api.ts";

/** The same requests on every run. */
const SEED = 20261121;
const RUNS = 400;
/** A request that takes longer hangs. */
const LONGEST_MS = 2_000;
/** What Docker answers with 500 as well. */
const ITS_OWN_500 =
  /out of sequence|constraint |network .* ?not found|filter: '|plugin ".*" not found|rollback option|previous spec|template/;

const SERVICE = {
  Name: "web",
  Labels: { a: "b" },
  TaskTemplate: {
    ContainerSpec: {
      Image: "busybox",
      Command: ["sh"],
      Env: ["A=b"],
      Mounts: [{ Type: "tmpfs", Target: "/tmp" }],
      Healthcheck: { Test: ["CMD", "true"], Interval: 1e9 },
      Secrets: [{
        SecretID: "x",
        SecretName: "x",
        File: { Name: "x", UID: "0", GID: "0", Mode: 292 },
      }],
    },
    Resources: { Limits: { NanoCPUs: 1e9, MemoryBytes: 8388608 } },
    RestartPolicy: { Condition: "any", Delay: 1, MaxAttempts: 2 },
    Placement: {
      Constraints: ["node.role==manager"],
      Preferences: [{ Spread: { SpreadDescriptor: "node.labels.a" } }],
    },
    Networks: [{ Target: "front", Aliases: ["w"] }],
  },
  Mode: { Replicated: { Replicas: 2 } },
  UpdateConfig: {
    Parallelism: 1,
    Delay: 0,
    FailureAction: "pause",
    MaxFailureRatio: 0.1,
    Order: "stop-first",
  },
  EndpointSpec: {
    Mode: "vip",
    Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "ingress" }],
  },
};
const FILE = { Name: "pw", Labels: {}, Data: "eA==", Templating: { Name: "golang" } };
const NETWORK = {
  Name: "front",
  Driver: "overlay",
  Attachable: true,
  Labels: {},
  IPAM: { Driver: "default", Config: [{ Subnet: "10.9.0.0/24", Gateway: "10.9.0.1" }] },
};
const CLUSTER = {
  Name: "default",
  Orchestration: { TaskHistoryRetentionLimit: 5 },
  Raft: { SnapshotInterval: 10000, ElectionTick: 10, HeartbeatTick: 1 },
  Dispatcher: { HeartbeatPeriod: 5e9 },
  CAConfig: { NodeCertExpiry: 7776e12 },
  EncryptionConfig: { AutoLockManagers: false },
};
const NODE = { Name: "n", Labels: { a: "b" }, Role: "manager", Availability: "active" };

/** Method, path and a body that is right, of every route about the cluster that takes one. */
const WRITES: readonly (readonly [string, string, unknown])[] = [
  ["POST", "/services/create", SERVICE],
  ["POST", "/services/web/update?version=1", SERVICE],
  ["POST", "/secrets/create", FILE],
  ["POST", "/secrets/pw/update?version=1", FILE],
  ["POST", "/configs/create", FILE],
  ["POST", "/configs/pw/update?version=1", FILE],
  ["POST", "/networks/create", NETWORK],
  ["POST", "/nodes/node1/update?version=1", NODE],
  ["POST", "/swarm/update?version=1", CLUSTER],
];
const LISTS = ["/services", "/tasks", "/nodes", "/secrets", "/configs"];

/** A value of the wrong kind, at the edge, or much too much. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    1e300,
    0.5,
    "",
    "\u0000",
    "../..",
    "x".repeat(70_000),
    [],
    {},
    [[]],
    "__proto__",
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** `value` with one place in it replaced, removed or doubled, chosen by `picks`. */
function mutate(value: unknown, picks: readonly number[], other: unknown): unknown {
  const [pick = 0, ...rest] = picks;
  if (typeof value !== "object" || value === null || rest.length === 0) return other;
  if (Array.isArray(value)) {
    const at = value.length === 0 ? 0 : pick % value.length;
    return value.toSpliced(at, 1, mutate(value[at], rest, other));
  }
  const keys = Object.keys(value);
  const key = keys[pick % Math.max(1, keys.length)] ?? "X";
  if (pick % 11 === 0) {
    return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
  }
  return { ...value, [key]: mutate((value as Record<string, unknown>)[key], rest, other) };
}

async function check(call: Promise<Response>, what: string): Promise<Response> {
  const begun = performance.now();
  const response = await call;
  const took = performance.now() - begun;
  assert.ok(took < LONGEST_MS, `${what}: ${took} ms`);
  const text = await response.text();
  if (response.status >= 400) {
    const { message } = JSON.parse(text) as { message?: unknown };
    assert.ok(typeof message === "string" && message !== "", `${what}: no sentence`);
    assert.ok(
      response.status < 500 || response.status === 501 || ITS_OWN_500.test(message),
      `${what}: ${response.status} ${message}`,
    );
  }
  return response;
}

for (const [method, path, good] of WRITES) {
  Deno.test(`nearly right: ${method} ${path.split("?")[0]}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
        odd,
        async (picks, other) => {
          const { app, store } = api();
          const before = store.index;
          const body = JSON.stringify(mutate(good, picks, other)) ?? "";
          const response = await check(
            app(
              new Request(`http://fleet${path}`, {
                method,
                body,
                headers: { "content-type": "application/json" },
              }),
            ),
            `${method} ${path} ${body.slice(0, 300)}`,
          );
          if (response.status >= 400) {
            assert.equal(store.index, before, "a refusal changed something");
          }
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
  });
}

Deno.test("nearly right: filters and queries of every list", async () => {
  const { app } = api();
  const name = fc.constantFrom("filters", "status", "version", "since", "insertDefaults", "x");
  const keys = fc.constantFrom(
    "id",
    "name",
    "label",
    "service",
    "node",
    "role",
    "desired-state",
    "x",
  );
  const filters = fc.oneof(
    fc.dictionary(keys, fc.oneof(fc.array(fc.string()), odd)).map((value) => JSON.stringify(value)),
    fc.string(),
    odd.map((value) => JSON.stringify(value) ?? ""),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...LISTS), name, filters, async (path, key, value) => {
      const query = `${key}=${encodeURIComponent(value.slice(0, 5_000).toWellFormed())}`;
      await check(app(new Request(`http://fleet${path}?${query}`)), `${path}?${query}`);
    }),
    { seed: SEED, numRuns: RUNS * 3 },
  );
});
