import assert from "node:assert/strict";
import type { Task } from "../../model/task.ts";
import type { TaskState } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import { applyStatusUpdates } from "./status_updates.ts";

const NOW = Date.UTC(2026, 0, 1);

function taskIn(state: TaskState, more: Partial<Task> = {}): Task {
  return {
    ID: "t",
    Version: { Index: 1 },
    CreatedAt: "",
    UpdatedAt: "",
    NodeID: "a",
    Spec: {},
    Status: { State: state },
    DesiredState: "running",
    ...more,
  };
}

function report(task: Task, from: string, ...states: TaskState[]): Task | undefined {
  const view = { get: (_: string, id: string) => id === task.ID ? task : undefined };
  const updates = states.map((State) => ({ taskId: "t", status: { State } }));
  const changes = applyStatusUpdates(view as unknown as View, from, updates, NOW);
  assert.ok(changes.length <= 1);
  const [change] = changes;
  return change?.op === "update" ? change.object as Task : undefined;
}

Deno.test("a node's own task moves up, stamped with the leader's time", () => {
  const after = report(taskIn("assigned"), "a", "accepted");
  assert.equal(after?.Status.State, "accepted");
  assert.equal(after?.Status.AppliedAt, "2026-01-01T00:00:00.000Z");
  assert.equal(after?.RunningAt, undefined);
});

Deno.test("the first time that a task runs is noted", () => {
  const after = report(taskIn("starting"), "a", "running");
  assert.equal(after?.RunningAt, "2026-01-01T00:00:00.000Z");
  const noted = taskIn("starting", { RunningAt: "2025-01-01T00:00:00.000Z" });
  assert.equal(report(noted, "a", "running")?.RunningAt, "2025-01-01T00:00:00.000Z");
});

Deno.test("what goes back, is another's, is not there yet or not an agent's to say is ignored", () => {
  assert.equal(report(taskIn("running"), "a", "starting"), undefined);
  assert.equal(report(taskIn("running"), "b", "failed"), undefined);
  assert.equal(report(taskIn("pending"), "a", "running"), undefined);
  assert.equal(report(taskIn("running"), "a", "orphaned"), undefined);
  assert.equal(report(taskIn("running"), "a", "remove"), undefined);
  assert.equal(report(taskIn("running"), "a", "nonsense" as TaskState), undefined);
  assert.equal(report(taskIn("running"), "a", "running"), undefined);
});

Deno.test("several words on one task are one change: the last that moves it", () => {
  const after = report(taskIn("assigned"), "a", "accepted", "running", "preparing", "failed");
  assert.equal(after?.Status.State, "failed");
  assert.equal(after?.RunningAt, "2026-01-01T00:00:00.000Z");
});

Deno.test("an endless sentence is cut", () => {
  const task = taskIn("running");
  const view = { get: () => task } as unknown as View;
  const status = { State: "failed" as const, Err: "x".repeat(100_000) };
  const [change] = applyStatusUpdates(view, "a", [{ taskId: "t", status }], NOW);
  assert.equal((change as { object: Task }).object.Status.Err?.length, 2_000);
});
