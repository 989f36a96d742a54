import assert from "node:assert/strict";
import type { Node } from "../../model/node.ts";
import type { Change, View } from "../../model/view.ts";
import type { Task } from "../../model/task.ts";
import { CLOSED_GRACE_MS, ORPHAN_AFTER_MS, RESTART_GRACE_MS, Sessions } from "./sessions.ts";
import type { Now } from "./sessions.ts";

const META = { Version: { Index: 1 }, CreatedAt: "", UpdatedAt: "" };
const START = Date.UTC(2026, 0, 1);
const at = (ms: number): Now => ({ wallMs: START + ms, monotonicMs: ms });

/** Just nodes and tasks; changes apply at once. */
class State {
  readonly nodes = new Map<string, Node>();
  readonly tasks = new Map<string, Task>();

  constructor(...ids: string[]) {
    for (const ID of ids) {
      this.nodes.set(ID, { ...META, ID, Spec: {}, Role: "worker", Status: { State: "unknown" } });
    }
  }

  get view(): View {
    const tables: Record<string, Map<string, unknown>> = { node: this.nodes, task: this.tasks };
    return {
      index: 1,
      get: (table: string, id: string) => tables[table]?.get(id),
      all: (table: string) => tables[table]?.values() ?? [],
      count: () => 0,
      byName: () => undefined,
      tasksOfService: () => [],
      tasksOfNode: (id: string) => [...this.tasks.values()].filter(({ NodeID }) => NodeID === id),
    } as unknown as View;
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.op !== "update") throw new Error("only updates are expected");
      if (change.table === "node") this.nodes.set(change.object.ID, change.object);
      if (change.table === "task") this.tasks.set(change.object.ID, change.object);
    }
  }

  state(id: string): string {
    return this.nodes.get(id)!.Status.State;
  }

  open(sessions: Sessions, nodeId: string, sessionId: string, now: Now): void {
    const description = { Hostname: nodeId };
    this.apply(sessions.open(this.view, { nodeId, sessionId, description, addr: "10.0.0.1" }, now));
  }

  expire(sessions: Sessions, now: Now): number | undefined {
    const { changes, wakeInMs } = sessions.expire(this.view, now);
    this.apply(changes);
    return wakeInMs;
  }
}

Deno.test("a node that says hello is ready, and down after three heartbeats without a word", () => {
  const state = new State("a");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  assert.equal(state.state("a"), "ready");
  assert.equal(state.nodes.get("a")!.Status.Addr, "10.0.0.1");
  assert.equal(state.expire(sessions, at(5_000)), 10_000);
  assert.equal(sessions.heartbeat(state.view, "a", "s1", at(10_000)), true);
  assert.equal(state.expire(sessions, at(15_000)), 10_000);
  assert.equal(state.state("a"), "ready");
  state.expire(sessions, at(25_000));
  assert.equal(state.state("a"), "down");
  assert.equal(state.nodes.get("a")!.Status.Message, "heartbeat failure");
  assert.equal(sessions.heartbeat(state.view, "a", "s1", at(25_001)), false);
});

Deno.test("a closed connection leaves a short time to come back, and then the node is down", () => {
  const state = new State("a", "b");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  state.open(sessions, "b", "s2", at(0));
  assert.equal(sessions.closed("a", "s1", at(1_000)), true);
  assert.equal(sessions.closed("b", "s2", at(1_000)), true);
  assert.equal(state.expire(sessions, at(1_000)), CLOSED_GRACE_MS);
  state.open(sessions, "a", "s3", at(1_000 + CLOSED_GRACE_MS - 1));
  state.expire(sessions, at(1_000 + CLOSED_GRACE_MS));
  assert.equal(state.state("a"), "ready");
  assert.equal(state.state("b"), "down");
});

Deno.test("an agent that says it restarts has longer, once", () => {
  const state = new State("a");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  sessions.restarting("a", "s0");
  sessions.restarting("a", "s1");
  sessions.closed("a", "s1", at(1_000));
  assert.equal(state.expire(sessions, at(1_000)), RESTART_GRACE_MS);
  state.open(sessions, "a", "s2", at(30_000));
  sessions.closed("a", "s2", at(31_000));
  assert.equal(state.expire(sessions, at(31_000)), CLOSED_GRACE_MS);
});

Deno.test("the end of a session that was replaced means nothing", () => {
  const state = new State("a");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  state.open(sessions, "a", "s2", at(10));
  assert.equal(sessions.closed("a", "s1", at(20)), false);
  assert.equal(sessions.isCurrent("a", "s2"), true);
});

Deno.test("a new leader takes nobody's word, and gives everybody six heartbeats", () => {
  const state = new State("a", "b", "c");
  state.open(new Sessions(), "a", "s", at(0));
  state.open(new Sessions(), "b", "s", at(0));
  const down = state.nodes.get("c")!;
  state.nodes.set("c", { ...down, Status: { State: "down" } });
  const sessions = new Sessions();
  state.apply(sessions.takeOver(state.view, at(100)));
  assert.deepEqual(["a", "b", "c"].map((id) => state.state(id)), ["unknown", "unknown", "down"]);
  assert.deepEqual(sessions.takeOver(state.view, at(100)), []);
  state.open(sessions, "a", "s2", at(20_000));
  state.expire(sessions, at(29_000));
  assert.equal(state.state("b"), "unknown");
  state.expire(sessions, at(30_100));
  assert.deepEqual(["a", "b"].map((id) => state.state(id)), ["ready", "down"]);
});

Deno.test("a down node is told until it is stored", () => {
  const state = new State("a");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  assert.equal(sessions.expire(state.view, at(15_000)).changes.length, 1);
  assert.equal(sessions.expire(state.view, at(15_001)).changes.length, 1);
  state.expire(sessions, at(15_002));
  assert.equal(sessions.expire(state.view, at(15_003)).changes.length, 0);
});

Deno.test("a leader that stood still blames no node for it", () => {
  const state = new State("a");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  assert.equal(state.expire(sessions, at(1_000)), 14_000);
  // Planned for 15 s, woken at 60 s: the heartbeats of the time between are still unread.
  assert.equal(state.expire(sessions, at(60_000)), 5_000);
  assert.equal(state.state("a"), "ready");
  state.expire(sessions, at(65_000));
  assert.equal(state.state("a"), "down");
});

Deno.test("tasks of a node that stays down a day are orphaned", () => {
  const state = new State("a");
  const sessions = new Sessions();
  state.open(sessions, "a", "s1", at(0));
  const task = (ID: string, State: Task["Status"]["State"]): void => {
    state.tasks.set(ID, {
      ...META,
      ID,
      NodeID: "a",
      Spec: {},
      Status: { State },
      DesiredState: "shutdown",
    });
  };
  task("running", "running");
  task("ended", "failed");
  state.expire(sessions, at(15_000));
  const wake = state.expire(sessions, at(15_001));
  assert.equal(wake, ORPHAN_AFTER_MS - 1);
  state.expire(sessions, at(15_000 + ORPHAN_AFTER_MS));
  assert.equal(state.tasks.get("running")!.Status.State, "orphaned");
  assert.equal(state.tasks.get("ended")!.Status.State, "failed");
});

Deno.test("a node that opens session after session is told to wait", () => {
  const sessions = new Sessions();
  for (let i = 0; i < 10; i++) assert.equal(sessions.admit("a", at(i)), true);
  assert.equal(sessions.admit("a", at(20)), false);
  assert.equal(sessions.admit("b", at(20)), true);
  assert.equal(sessions.admit("a", at(8_005)), true);
});
