/**
 * Requests that are nearly right, to every endpoint of the cluster's part of Docker's API: answered with a sentence,
 * never with a crash, never late, in the described form, and without a change unless they were accepted.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { answerShape, apiShapes, unintended } from "../contract/api/described.ts";
import { faultsOf } from "../contract/api/shapes.ts";
import { CLUSTER, FILE, filledCluster, NAMES, NETWORK, NODE, SERVICE } from "./filled_cluster.ts";

/** The same requests on every run. */
const SEED = Number(Deno.env.get("FLEET_FUZZ_SEED") ?? 20261121);
/** Requests for each endpoint; `deno task fuzz` sends 1,000, which takes 10 s of processor time. */
const RUNS = Number(Deno.env.get("FLEET_FUZZ_RUNS") ?? 100);
/** A request that takes longer hangs, on a machine that has much else to do as well. */
const LONGEST_MS = 20_000;
/** What Docker answers with 500 as well. */
const ITS_OWN_500 =
  /out of sequence|constraint |network .* ?not found|filter: '|plugin ".*" not found|rollback option|previous spec|does not have a previous|template/;
/** Streams that end with their reader. */
const ENDLESS = new Set(["GET /events", "GET /services/{id}/logs", "GET /tasks/{id}/logs"]);
/** The engine's own; nothing of it is fleet's. */
const ENGINES_OWN = new Set(["GET /version"]);

const BODIES: Readonly<Record<string, unknown>> = {
  "POST /services/create": { ...SERVICE, Name: "other", EndpointSpec: undefined },
  "POST /services/{id}/update": SERVICE,
  "POST /secrets/create": { ...FILE, Name: "other" },
  "POST /secrets/{id}/update": FILE,
  "POST /configs/create": { ...FILE, Name: "other" },
  "POST /configs/{id}/update": FILE,
  "POST /networks/create": { ...NETWORK, Name: "other", IPAM: {} },
  "POST /nodes/{id}/update": NODE,
  "POST /swarm/update": CLUSTER,
  "POST /swarm/init": { ListenAddr: "0.0.0.0:2377", AdvertiseAddr: "10.0.0.1", Spec: CLUSTER },
  "POST /swarm/join": { RemoteAddrs: ["10.0.0.1:2377"], JoinToken: "SWMTKN-1-x-y" },
  "POST /swarm/unlock": { UnlockKey: "SWMKEY-1-x" },
};
/** Queries that are right. */
const QUERIES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "GET /services/{id}/logs": { stdout: "1" },
  "GET /tasks/{id}/logs": { stdout: "1" },
  "GET /events": { until: "1" },
};

/** A value of the wrong kind, at the edge, or much too much. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, -1, 1e300, 0.5, "", "\u0000", "../..", "x".repeat(70_000), [], {}, [[]]],
    ...["__proto__", "front", "web", "pw", "node1", "none", "default", "2026-01-01", 2 ** 53],
  ),
  fc.jsonValue({ maxDepth: 3 }),
);
const text = fc.oneof(fc.string(), odd.map((value) => String(JSON.stringify(value) ?? value)));
const filters = fc.oneof(
  fc.dictionary(
    fc.constantFrom(
      "id",
      "name",
      "label",
      "service",
      "node",
      "role",
      "desired-state",
      "scope",
      "x",
    ),
    fc.oneof(fc.array(fc.string()), odd),
  ).map((value) => JSON.stringify(value)),
  text,
);

/** What is wrong with one request. */
const mutation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("body" as const),
      picks: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
      other: odd,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("query" as const),
      pick: fc.nat(),
      value: fc.oneof(text, filters),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("id" as const),
      // What makes another path of it is tried in api_paths_test.ts.
      value: text.filter((value) => !/^\.*$/.test(value)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("header" as const),
      name: fc.constantFrom("content-type", "x-registry-auth", "x-nothing"),
      value: fc.oneof(
        fc.constantFrom("text/plain", "application/json; charset=utf-8", "e30=", "bnVsbA", "%"),
        fc.string().filter((value) => /^[\x20-\x7e]*$/.test(value)),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut" as const), at: fc.nat() }) },
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

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

interface Sent {
  readonly target: string;
  readonly body: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** A request to an endpoint with one thing wrong. `version` is the object's. */
function requestOf(endpoint: string, version: number, wrong: Mutation | undefined): Sent {
  const path = endpoint.split(" ")[1]!;
  const noun = path.split("/")[1]!;
  const known = SHAPES.endpoints[endpoint]!;
  const query = new URLSearchParams(QUERIES[endpoint]);
  if (known.query.includes("version")) query.set("version", String(version));
  let id: string = NAMES[noun as keyof typeof NAMES] ?? "";
  let body = BODIES[endpoint];
  const headers: Record<string, string> = {};
  if (wrong?.kind === "id") id = wrong.value.slice(0, 500).toWellFormed();
  if (wrong?.kind === "query") {
    const names = [...known.query, "filters", "x"];
    query.set(names[wrong.pick % names.length]!, wrong.value.slice(0, 5_000).toWellFormed());
  }
  if (wrong?.kind === "header") headers[wrong.name] = wrong.value;
  if (wrong?.kind === "body" && body !== undefined) body = mutate(body, wrong.picks, wrong.other);
  let written = body === undefined ? undefined : JSON.stringify(body) ?? "";
  if (wrong?.kind === "cut" && written) written = written.slice(0, wrong.at % written.length);
  return {
    target: `/v1.41${path.replace("{id}", encodeURIComponent(id))}?${query}`,
    body: written,
    headers,
  };
}

const SHAPES = apiShapes();

function versionOf(store: Awaited<ReturnType<typeof filledCluster>>["store"], endpoint: string) {
  const noun = endpoint.split("/")[1]!;
  if (noun === "swarm") return [...store.all("cluster")][0]!.Version.Index;
  const table = noun.replace(/s$/, "") as "service" | "secret" | "config" | "network";
  const name = NAMES[noun as keyof typeof NAMES];
  if (name === undefined) return 0;
  return (store.get(table, name) ?? store.byName(table, name))?.Version.Index ?? 0;
}

for (const endpoint of Object.keys(SHAPES.endpoints)) {
  if (ENGINES_OWN.has(endpoint)) continue;
  Deno.test(`nearly right: ${endpoint}`, async () => {
    const [method] = endpoint.split(" ");
    let cluster = await filledCluster();
    const check = async (wrong: Mutation | undefined): Promise<number> => {
      const { store, send } = cluster;
      const before = store.index;
      const { target, body, headers } = requestOf(endpoint, versionOf(store, endpoint), wrong);
      const what = `${method} ${target.slice(0, 300)} ${JSON.stringify(headers)} ${
        (body ?? "").slice(0, 300)
      }`;
      const hung = setTimeoutError(what);
      const answer = send(method!, target, body, headers);
      const response = await Promise.race([answer, hung.promise]);
      const said = ENDLESS.has(endpoint) && response.ok
        ? (await response.body?.cancel(), "")
        : await Promise.race([response.text(), hung.promise]);
      hung.clear();
      const changed = store.index !== before;
      if (changed) cluster = await filledCluster();
      if (response.status >= 400) {
        const { message } = JSON.parse(said) as { message?: unknown };
        assert.ok(typeof message === "string" && message !== "", `${what}: no sentence`);
        assert.ok(
          response.status < 500 || response.status === 501 || response.status === 503 ||
            ITS_OWN_500.test(message),
          `${what}: ${response.status} ${message}`,
        );
      }
      if (response.status >= 400 || method === "GET") {
        assert.ok(!changed, `${what}: changed something`);
      }
      const shape = answerShape(SHAPES, endpoint, response.status);
      if (shape && said !== "") {
        const faults = faultsOf(SHAPES, shape, JSON.parse(said));
        assert.deepEqual(unintended(faults), [], what);
      }
      return response.status;
    };
    const status = await check(undefined);
    assert.ok(
      status < 300 || endpoint.startsWith("POST /swarm/") || method === "DELETE",
      `without a mistake: ${status}`,
    );
    // What a switch turns on has the described form, too, whatever the seed happens to try.
    for (const pick of SHAPES.endpoints[endpoint]!.query.keys()) {
      await check({ kind: "query", pick, value: "true" });
    }
    await fc.assert(
      fc.asyncProperty(mutation, async (wrong) => {
        await check(wrong);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
}

function setTimeoutError(what: string) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const promise = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer`)), LONGEST_MS);
  });
  return { promise, clear: () => clearTimeout(timer) };
}
