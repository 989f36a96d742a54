import assert from "node:assert/strict";
import { restartWait } from "./restart_wait.ts";
import type { Task } from "./task.ts";

const waiting: Task = {
  ID: "t",
  Version: { Index: 1 },
  CreatedAt: "2026-11-21T15:00:00Z",
  UpdatedAt: "2026-11-21T15:00:00Z",
  Spec: {},
  Status: { State: "ready", Message: "prepared" },
  DesiredState: "ready",
  NotBefore: "2026-11-21T15:04:05.678Z",
  RestartCount: 6,
};

Deno.test("a task that waits for its restart says until when, and why", () => {
  assert.equal(restartWait(waiting), "restarts at 15:04:05 UTC: failed 6 times in a row");
  assert.equal(
    restartWait({ ...waiting, RestartCount: 1 }),
    "restarts at 15:04:05 UTC: the one before it ended",
  );
});

Deno.test("what works, has ended or waits for something else says nothing of it", () => {
  const { NotBefore: _, RestartCount: __, ...first } = waiting;
  for (
    const task of [
      first,
      { ...waiting, DesiredState: "running" as const },
      { ...waiting, Status: { State: "rejected" as const, Err: "no such image" } },
    ]
  ) assert.equal(restartWait(task), undefined);
});
