import assert from "node:assert/strict";
import { compareStates, TASK_STATES } from "./task_state.ts";
import { assertTransition, mayMove } from "./task_transitions.ts";
import type { TaskActor } from "./task_transitions.ts";
import type { Task } from "./task.ts";

const ACTORS: readonly TaskActor[] = [
  "orchestrator",
  "allocator",
  "scheduler",
  "agent",
  "enforcer",
  "dispatcher",
  "control",
];

/** The written table, spelled out as `from>to`. */
function movesOf(actor: TaskActor): string[] {
  return TASK_STATES.flatMap((from) =>
    TASK_STATES.filter((to) => from !== to && mayMove(actor, from, to)).map((to) => `${from}>${to}`)
  );
}

Deno.test("nobody takes a state back", () => {
  for (const actor of ACTORS) {
    for (const from of TASK_STATES) {
      for (const to of TASK_STATES) {
        if (compareStates(to, from) < 0) assert.equal(mayMove(actor, from, to), false);
      }
    }
  }
});

Deno.test("the managers' parts have few moves", () => {
  assert.deepEqual(movesOf("orchestrator"), []);
  assert.deepEqual(movesOf("allocator"), ["new>pending"]);
  assert.deepEqual(movesOf("scheduler"), ["pending>assigned", "pending>shutdown"]);
  const onNode = ["assigned", "accepted", "preparing", "ready", "starting", "running"];
  assert.deepEqual(movesOf("enforcer"), onNode.map((from) => `${from}>rejected`));
  assert.deepEqual(movesOf("dispatcher"), onNode.map((from) => `${from}>orphaned`));
  assert.deepEqual(
    movesOf("control"),
    ["new", "allocated", "pending", ...onNode].map((from) => `${from}>orphaned`),
  );
});

Deno.test("an agent speaks of what was assigned, and never for the managers", () => {
  const moves = movesOf("agent");
  assert.ok(moves.includes("assigned>running"));
  assert.ok(!moves.some((move) => /^(new|allocated|pending)>|>(orphaned|remove)$/.test(move)));
});

Deno.test("desired states are the orchestrator's, and only rise", () => {
  const task = (
    desired: Task["DesiredState"],
    state: Task["Status"]["State"] = "pending",
  ): Task => ({
    ID: "t",
    Version: { Index: 1 },
    CreatedAt: "",
    UpdatedAt: "",
    Spec: {},
    Status: { State: state },
    DesiredState: desired,
  });
  assertTransition("orchestrator", undefined, task("ready"));
  assertTransition("orchestrator", task("ready"), task("running"));
  assert.throws(() => assertTransition("orchestrator", task("running"), task("ready")));
  assert.throws(() => assertTransition("scheduler", task("ready"), task("running")));
  assert.throws(() => assertTransition("orchestrator", undefined, task("running", "running")));
  assert.throws(() => assertTransition("agent", undefined, task("running")));
  assert.throws(() => assertTransition("orchestrator", undefined, task("preparing")));
});
