import assert from "node:assert/strict";
import { timeText } from "../../model/meta.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { relocate } from "./relocate.ts";

const NOW = 1_000_000;

function view(...tasks: Partial<Task>[]): View {
  const all = tasks.map((task, i) => ({
    ID: `t${i}`,
    Status: { State: "running" },
    DesiredState: "running",
    ...task,
  }));
  return {
    all: () => all,
    get: (_: string, id: string) => all.find(({ ID }) => ID === id),
  } as unknown as View;
}

const marked = (changes: ReturnType<typeof relocate>["changes"]) =>
  changes.map((change) => (change as { object: Task }).object.ID);
const moves = (n: number) => Array.from({ length: n }, (_, i) => ({ taskId: `t${i}`, to: "n" }));

Deno.test("no more tasks move in a minute than the budget allows", () => {
  const recent = { Relocate: { At: timeText(NOW - 20_000) } };
  const old = { Relocate: { At: timeText(NOW - 70_000) } };
  const state = view({}, {}, {}, recent, old);
  const plan = relocate(state, moves(3), { nowMs: NOW, movesPerMinute: 2 });
  assert.deepEqual(marked(plan.changes), ["t0"]);
  assert.deepEqual(plan.remaining.map(({ taskId }) => taskId), ["t1", "t2"]);
  assert.equal(plan.wakeAtMs, NOW + 40_000);
});

Deno.test("what is gone, ended, waits or moves already is passed over", () => {
  const state = view(
    { Status: { State: "failed" } },
    { DesiredState: "shutdown" },
    { Relocate: { At: timeText(NOW - 1) } },
    {},
    // Its successor would start beside the task that it waits for.
    { DesiredState: "ready" },
  );
  const plan = relocate(state, moves(6), { nowMs: NOW });
  assert.deepEqual(marked(plan.changes), ["t3"]);
  assert.equal(plan.wakeAtMs, undefined);
});
