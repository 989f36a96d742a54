import assert from "node:assert/strict";
import { timeText } from "../../model/meta.ts";
import type { Service } from "../../model/service.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { newTask } from "./new_task.ts";

const NOW = Date.UTC(2026, 0, 2);
const TRACE = `00-${"a".repeat(32)}-00000000000000aa-01`;

const service = (ageMs: number, traced = true): Service => ({
  ID: "s1",
  Version: { Index: 1 },
  CreatedAt: timeText(0),
  UpdatedAt: timeText(NOW - ageMs),
  Spec: { Name: "web" },
  ...(traced ? { Trace: TRACE } : {}),
});
const make = (of: Service, more = {}) =>
  newTask({ view: new MemoryStore(), nowMs: NOW, newId: () => "t1" }, of, { slot: 1 }, more);

Deno.test("a task belongs to the traced request that it is made for", () => {
  assert.equal(make(service(1_000)).Trace, TRACE);
  assert.ok(!("Trace" in make(service(1_000, false))));
});

Deno.test("restarts, and tasks made long after, belong to no request", () => {
  assert.equal(make(service(1_000), { RestartCount: 1 }).Trace, undefined);
  assert.equal(make(service(1_000), { RestartCount: 0 }).Trace, TRACE);
  assert.equal(make(service(2 * 3_600_000)).Trace, undefined);
});
