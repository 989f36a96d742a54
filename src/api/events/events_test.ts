import assert from "node:assert/strict";
import type { Applied } from "../../model/view.ts";
import type { ClusterEvent } from "./cluster_event.ts";
import { EventHistory, MAX_HISTORY } from "./event_history.ts";
import { isWanted, readEventQuery } from "./event_query.ts";
import { mergeEvents } from "./merge_events.ts";

const query = (given: Record<string, string>) => readEventQuery((name) => given[name]);
const filtered = (filters: object) => query({ filters: JSON.stringify(filters) });

function event(seconds: number, more: Partial<ClusterEvent> = {}): ClusterEvent {
  return {
    Type: "service",
    Action: "update",
    Actor: { ID: "abc123", Attributes: { name: "web", "replicas.new": "3" } },
    scope: "swarm",
    time: seconds,
    timeNano: seconds * 1e9,
    ...more,
  };
}

Deno.test("filters: alternatives within a key, all keys at once, actors by the beginning of id or name", () => {
  const web = event(1);
  for (
    const yes of [
      {},
      { type: ["node", "service"] },
      { type: { service: true } },
      { event: ["update"], scope: ["swarm"] },
      { service: ["we"] },
      { service: ["abc"] },
      { container: ["web"] },
      { label: ["name=web", "replicas.new"] },
    ]
  ) assert.ok(isWanted(web, filtered(yes)), JSON.stringify(yes));
  for (
    const no of [
      { type: ["node"] },
      { type: ["service"], event: ["create"] },
      { scope: ["local"] },
      { service: ["eb"] },
      { label: ["name=web", "gone"] },
      { image: ["busybox"] },
    ]
  ) assert.ok(!isWanted(web, filtered(no)), JSON.stringify(no));
});

Deno.test("what the engine will refuse anyway counts as absent", () => {
  assert.deepEqual(query({ since: "yesterday", until: "-", filters: "{" }), {
    sinceNs: undefined,
    untilNs: undefined,
    filters: new Map(),
  });
});

function watched(): { history: EventHistory; happen: (name: string, atMs: number) => void } {
  let listener: (changes: readonly Applied[]) => void = () => {};
  const history = new EventHistory({
    watch: (given) => {
      listener = given;
      return () => {};
    },
  }, () => 0);
  const happen = (name: string, atMs: number) => {
    const at = new Date(atMs).toISOString();
    const object = { ID: name, Spec: { Name: name }, CreatedAt: at, UpdatedAt: at };
    listener([{ table: "secret", op: "create", object } as unknown as Applied]);
  };
  return { history, happen };
}

const names = (events: readonly ClusterEvent[]) => events.map(({ Actor }) => Actor.ID);

Deno.test("the past is what is within the time asked for, and bounded", () => {
  const { history, happen } = watched();
  happen("a", 1_000);
  happen("b", 2_000);
  happen("c", 3_000);
  assert.deepEqual(names(history.past(query({}))), []);
  assert.deepEqual(names(history.past(query({ since: "2" }))), ["b", "c"]);
  assert.deepEqual(names(history.past(query({ since: "0", until: "2.5" }))), ["a", "b"]);
  for (let i = 0; i < MAX_HISTORY; i++) happen(`n${i}`, 4_000 + i);
  const all = names(history.past(query({ since: "0" })));
  assert.equal(all.length, MAX_HISTORY);
  assert.equal(all[0], "n0");
});

Deno.test("past events of both stand in order of time, later ones as they come", async () => {
  const { history, happen } = watched();
  happen("early", 1_000);
  happen("late", 3_000);
  const asked = query({ since: "0" });
  const line = (name: string, seconds: number) =>
    new TextEncoder().encode(`{"name":"${name}","timeNano":${seconds * 1e9}}\n`);
  let engine!: ReadableStreamDefaultController<Uint8Array>;
  const merged = mergeEvents({
    engine: new ReadableStream({
      start(controller) {
        engine = controller;
      },
    }),
    past: history.past(asked),
    follow: (listener) => history.follow(asked, listener),
    abort: () => {},
  });
  const [half, rest] = [line("two", 2).subarray(0, 5), line("two", 2).subarray(5)];
  engine.enqueue(half);
  engine.enqueue(rest);
  engine.enqueue(line("four", 4));
  const reader = merged.getReader();
  const next = async () => {
    const { value } = await reader.read();
    return /"(?:name|ID)":"(\w+)"/.exec(new TextDecoder().decode(value))?.[1];
  };
  assert.deepEqual([await next(), await next(), await next(), await next()], [
    "early",
    "two",
    "late",
    "four",
  ]);
  happen("now", 5_000);
  assert.equal(await next(), "now");
  engine.close();
  assert.equal(await next(), undefined);
});
