import assert from "node:assert/strict";
import { FakeTracer } from "../../../tests/support/fake_tracer.ts";
import { makeTask } from "../../../tests/support/make_task.ts";
import type { Task } from "../../model/task.ts";
import type { Change } from "../../model/view.ts";
import { commitTraced, traceAssignments } from "./traced_changes.ts";

const A = `00-${"a".repeat(32)}-00000000000000aa-01`;
const B = `00-${"b".repeat(32)}-00000000000000bb-01`;

const change = (id: string, more: Partial<Task>): Change => ({
  op: "update",
  table: "task",
  object: makeTask(id, more),
});

Deno.test("each traced request among the changes has one span, until they are stored", async () => {
  const tracer = new FakeTracer();
  const changes = [
    change("t1", { Trace: A }),
    change("t2", { Trace: A }),
    change("t3", { Trace: B }),
    change("t4", {}),
  ];
  let within: string | undefined;
  await commitTraced(tracer, "scheduler", { changes, beganMs: 7 }, () => {
    within = tracer.current();
    assert.ok(tracer.spans.every(({ ended }) => ended === undefined));
    return Promise.resolve();
  });
  assert.deepEqual(tracer.spans.map(({ name, options }) => [name, options.parent]), [
    ["scheduler", A],
    ["scheduler", B],
  ]);
  assert.deepEqual(tracer.spans.map(({ attributes }) => attributes["fleet.tasks"]), [2, 1]);
  assert.ok(tracer.spans.every(({ options, ended }) => options.startMs === 7 && ended));
  assert.equal(within, tracer.spans[0]!.context);
});

Deno.test("a commit that fails is told as failed, and thrown", async () => {
  const tracer = new FakeTracer();
  const changes = [change("t1", { Trace: A })];
  const lost = new Error("somebody was first");
  await assert.rejects(
    commitTraced(tracer, "scheduler", { changes, beganMs: 0 }, () => Promise.reject(lost)),
    lost,
  );
  assert.deepEqual(tracer.spans[0]!.ended, { error: lost });
});

Deno.test("what becomes of a task once it is on its node is no part of the request", async () => {
  const tracer = new FakeTracer();
  const running = { Trace: A, Status: { State: "running" as const } };
  const stopping = { Trace: A, DesiredState: "shutdown" as const };
  const changes = [change("t1", running), change("t2", stopping)];
  await commitTraced(tracer, "orchestrator", { changes, beganMs: 0 }, () => Promise.resolve());
  traceAssignments(tracer, "n1", 0, [makeTask("t1", running), makeTask("t2", stopping)]);
  assert.deepEqual(tracer.spans, []);
  traceAssignments(tracer, "n1", 5, [makeTask("t3", { Trace: A })]);
  assert.deepEqual(tracer.spans.map(({ name, attributes }) => [name, attributes["fleet.node"]]), [
    ["dispatcher", "n1"],
  ]);
});
