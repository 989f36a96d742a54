import assert from "node:assert/strict";
import type { Task } from "../../model/task.ts";
import type { TaskState } from "../../model/task_state.ts";
import type { View } from "../../model/view.ts";
import { assignmentsOf, completeAssignments, diffAssignments } from "./assignments.ts";

function task(ID: string, state: TaskState, desired: TaskState, secrets: string[] = []): Task {
  return {
    ID,
    Version: { Index: 1 },
    CreatedAt: "",
    UpdatedAt: "",
    NodeID: "a",
    Spec: { ContainerSpec: { Secrets: secrets.map((SecretID) => ({ SecretID })) } },
    Status: { State: state },
    DesiredState: desired,
  };
}

function setOf(...tasks: Task[]) {
  const view = {
    tasksOfNode: () => tasks,
    all: () => [],
    get: (table: string, id: string) =>
      table === "secret" && id.startsWith("s")
        ? { ID: id, Spec: { Name: `name-${id}`, Data: "eA==" } }
        : undefined,
  };
  return assignmentsOf(view as unknown as View, "a");
}

Deno.test("a node gets its assigned tasks, and secrets only while they need them", () => {
  const set = setOf(
    task("t1", "pending", "running", ["s1"]),
    task("t2", "running", "running", ["s2"]),
    task("t3", "running", "shutdown", ["s3"]),
    task("t4", "failed", "running", ["s4"]),
    task("t5", "assigned", "ready", ["s2", "missing"]),
  );
  assert.deepEqual([...set.keys()], ["task/t2", "secret/s2", "task/t3", "task/t4", "task/t5"]);
  const complete = completeAssignments(set, 7);
  assert.deepEqual([complete.kind, complete.resultsIn, complete.update.length], ["complete", 7, 5]);
});

Deno.test("a difference names what the node has to hear, in a row without gaps", () => {
  const before = setOf(task("t1", "assigned", "running", ["s1"]), task("t2", "running", "running"));
  const reported = setOf(
    task("t1", "running", "running", ["s1"]),
    task("t2", "running", "running"),
  );
  assert.equal(diffAssignments(before, reported, 3), undefined, "its own report is no news");
  const after = setOf(task("t1", "running", "shutdown", ["s1"]), task("t3", "assigned", "running"));
  const difference = diffAssignments(reported, after, 3);
  assert.deepEqual([difference?.appliesTo, difference?.resultsIn], [3, 4]);
  assert.deepEqual(difference?.update.map(({ id }) => id), ["t1", "t3"]);
  assert.deepEqual(difference?.remove.map(({ id }) => id), ["s1", "t2"]);
});
