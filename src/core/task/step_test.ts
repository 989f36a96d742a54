import assert from "node:assert/strict";
import { makeTask } from "../../../tests/support/make_task.ts";
import { TASK_STATES } from "../../model/task_state.ts";
import type { TaskState } from "../../model/task_state.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import { TemporaryError } from "./controller.ts";
import type { Controller, Exit } from "./controller.ts";
import { step } from "./step.ts";

/** Remembers which acts were asked for. */
class Recorder implements Controller {
  readonly acts: string[] = [];
  failure: Error | undefined;
  exit: Exit = { code: 0 };

  async prepare(): Promise<void> {
    this.#act("prepare");
  }
  async start(): Promise<void> {
    this.#act("start");
  }
  async wait(): Promise<Exit> {
    this.#act("wait");
    return this.exit;
  }
  async shutdown(): Promise<void> {
    this.#act("shutdown");
  }
  async remove(): Promise<void> {
    this.#act("remove");
  }
  async facts() {
    return { container: { ContainerID: "c1", PID: 7, ExitCode: this.exit.code } };
  }
  #act(name: string): void {
    this.acts.push(name);
    if (this.failure) throw this.failure;
  }
}

const status = (State: TaskState): TaskStatus => ({ State, Message: "before" });
const desired = (DesiredState: TaskState): Task => makeTask("t1", { DesiredState });

function once(task: Task, before: TaskStatus, controller: Controller, signal?: AbortSignal) {
  return step(task, before, controller, {
    now: () => Date.parse("2026-01-02T03:04:05Z"),
    signal: signal ?? new AbortController().signal,
  });
}

Deno.test("every state takes exactly one step, in Swarm's words", async () => {
  const table: [TaskState, string, TaskState, string][] = [
    ["assigned", "", "accepted", "accepted"],
    ["accepted", "", "preparing", "preparing"],
    ["preparing", "prepare", "ready", "prepared"],
    ["ready", "", "starting", "starting"],
    ["starting", "start", "running", "started"],
    ["running", "wait", "complete", "finished"],
  ];
  for (const [from, acts, to, message] of table) {
    const controller = new Recorder();
    const next = await once(desired("running"), status(from), controller);
    assert.equal(next?.State, to);
    assert.equal(next?.Message, message);
    assert.equal(next?.Timestamp, "2026-01-02T03:04:05.000Z");
    assert.deepEqual(controller.acts, acts ? [acts] : [], from);
  }
});

Deno.test("a task that is desired ready is prepared and waits", async () => {
  assert.equal((await once(desired("ready"), status("preparing"), new Recorder()))?.State, "ready");
  assert.equal(await once(desired("ready"), status("ready"), new Recorder()), undefined);
});

Deno.test("whatever has not ended is shut down when that is desired, and not before", async () => {
  for (const state of TASK_STATES) {
    for (const wish of ["shutdown", "remove"] as const) {
      const controller = new Recorder();
      const next = await once(desired(wish), status(state), controller);
      const over = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"]
        .includes(state);
      assert.equal(next?.State, over ? undefined : "shutdown", `${state}, desired ${wish}`);
      assert.deepEqual(controller.acts, over ? [] : ["shutdown"]);
    }
  }
});

Deno.test("failures before the start reject, later ones fail", async () => {
  const controller = new Recorder();
  controller.failure = new Error("no such image: x");
  const rejected = await once(desired("running"), status("preparing"), controller);
  assert.deepEqual([rejected?.State, rejected?.Err], ["rejected", "no such image: x"]);
  const failed = await once(desired("running"), status("starting"), controller);
  assert.deepEqual([failed?.State, failed?.Err], ["failed", "no such image: x"]);
  assert.equal(failed?.ContainerStatus?.ContainerID, "c1");
});

Deno.test("how the program ended is the task's error", async () => {
  for (
    const [exit, state, sentence] of [
      [{ code: 0 }, "complete", undefined],
      [{ code: 3 }, "failed", "task: non-zero exit (3)"],
      [
        { code: 137, reason: "out of memory" },
        "failed",
        "task: non-zero exit (137): out of memory",
      ],
      [
        { code: 0, reason: "unhealthy container" },
        "failed",
        "task: non-zero exit (0): unhealthy container",
      ],
    ] as const
  ) {
    const controller = new Recorder();
    controller.exit = exit;
    const next = await once(desired("running"), status("running"), controller);
    assert.deepEqual([next?.State, next?.Err], [state, sentence]);
    assert.deepEqual(next?.ContainerStatus, { ContainerID: "c1", PID: 7, ExitCode: exit.code });
  }
});

Deno.test("temporary failures and aborts change nothing", async () => {
  const controller = new Recorder();
  controller.failure = new TemporaryError("the engine restarts");
  for (const state of ["preparing", "starting", "running"] as const) {
    await assert.rejects(once(desired("running"), status(state), controller), TemporaryError);
  }
  controller.failure = new Error("the call was cut");
  const abort = new AbortController();
  abort.abort(new Error("the task changed"));
  for (const state of ["preparing", "starting"] as const) {
    await assert.rejects(
      once(desired("running"), status(state), controller, abort.signal),
      /the task changed/,
    );
  }
});

Deno.test("no step ever goes back", async () => {
  const order = (state: TaskState) => TASK_STATES.indexOf(state);
  for (const from of TASK_STATES) {
    for (const wish of ["ready", "running", "complete", "shutdown", "remove"] as const) {
      const next = await once(desired(wish), status(from), new Recorder());
      if (next) assert.ok(order(next.State) > order(from), `${from} -> ${next.State}`);
    }
  }
});
