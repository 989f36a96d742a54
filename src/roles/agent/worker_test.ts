import assert from "node:assert/strict";
import { FakeExecutor } from "../../../tests/support/fake_executor.ts";
import { makeTask } from "../../../tests/support/make_task.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { FleetError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import type { Assignment } from "../../model/session.ts";
import type { TaskState } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { MemoryTaskStore } from "./task_store.ts";
import { Worker } from "./worker.ts";

/** A worker whose agent can be ended and begun again on the same node. */
class Bench {
  readonly clock = new ManualClock();
  readonly executor = new FakeExecutor();
  readonly store = new MemoryTaskStore();
  readonly told: string[] = [];
  worker = this.#make();
  #sequence = 0;

  #make(): Worker {
    return new Worker({
      executor: this.executor,
      store: this.store,
      clock: this.clock,
      logger: silentLogger,
      onStatus: (id, { State, Err }) => this.told.push(`${id} ${State}${Err ? ` (${Err})` : ""}`),
    });
  }

  async restart(): Promise<void> {
    await this.worker.close();
    this.told.length = 0;
    this.worker = this.#make();
    await this.worker.start();
    await this.clock.settle();
  }

  async assign(tasks: readonly Task[], more: readonly Assignment[] = []): Promise<void> {
    const update = [
      ...more,
      ...tasks.map((task) => ({ kind: "task", id: task.ID, task } as const)),
    ];
    const resultsIn = ++this.#sequence;
    this.worker.apply({ kind: "complete", appliesTo: 0, resultsIn, update, remove: [] });
    await this.clock.settle();
  }

  states(): Record<string, TaskState> {
    return Object.fromEntries(
      this.worker.tasks().map(({ task, status }) => [task.ID, status.State]),
    );
  }
}

const wish = (task: Task, DesiredState: TaskState): Task => ({ ...task, DesiredState });

Deno.test("a task runs, is stopped and taken away", async () => {
  const bench = new Bench();
  const t1 = makeTask("t1");
  await bench.assign([t1]);
  assert.deepEqual(bench.told, [
    "t1 accepted",
    "t1 preparing",
    "t1 ready",
    "t1 starting",
    "t1 running",
  ]);
  assert.deepEqual(bench.worker.localTasks(), [{
    taskId: "t1",
    serviceId: "service-of-web",
    containerId: "container-t1",
    state: "running",
  }]);
  await bench.assign([wish(t1, "shutdown")]);
  assert.equal(bench.told.at(-1), "t1 shutdown");
  assert.deepEqual([...bench.executor.programs.keys()], ["t1"], "kept for its logs");
  await bench.assign([]);
  assert.deepEqual([...bench.executor.programs.keys()], []);
  await bench.worker.close();
});

Deno.test("a replacement waits prepared until it may start", async () => {
  const bench = new Bench();
  const t1 = makeTask("t1", { DesiredState: "ready" });
  await bench.assign([t1]);
  assert.deepEqual(bench.states(), { t1: "ready" });
  assert.deepEqual(bench.executor.running(), []);
  await bench.assign([wish(t1, "running")]);
  assert.deepEqual(bench.executor.running(), ["t1"]);
  await bench.worker.close();
});

Deno.test("preparing goes on when the task may start, and ends when it shall stop", async () => {
  const bench = new Bench();
  const pulled = Promise.withResolvers<void>();
  let pulls = 0;
  bench.executor.beforePrepare = (_, signal) => {
    pulls++;
    return new Promise((resolve, reject) => {
      pulled.promise.then(resolve);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  };
  const [t1, t2] = [makeTask("t1", { DesiredState: "ready" }), makeTask("t2")];
  await bench.assign([t1, t2]);
  await bench.assign([wish(t1, "running"), wish(t2, "shutdown")]);
  assert.deepEqual(bench.states(), { t1: "preparing", t2: "shutdown" });
  assert.equal(pulls, 2, "not begun again");
  pulled.resolve();
  await bench.clock.settle();
  assert.deepEqual(bench.executor.running(), ["t1"]);
  await bench.worker.close();
});

Deno.test("an agent that restarts adopts what runs, once", async () => {
  const bench = new Bench();
  const tasks = ["t1", "t2", "t3"].map((id) => makeTask(id));
  await bench.assign(tasks);
  await bench.worker.close();
  assert.deepEqual(bench.executor.running(), ["t1", "t2", "t3"], "containers go on");
  bench.executor.end("t2", { code: 3 });
  await bench.restart();
  assert.deepEqual(bench.told, ["t2 failed (task: non-zero exit (3))"]);
  assert.deepEqual(bench.states(), { t1: "running", t2: "failed", t3: "running" });
  assert.deepEqual([...bench.executor.programs.values()].map(({ starts }) => starts), [1, 1, 1]);
  bench.executor.end("t1", { code: 0 });
  await bench.clock.settle();
  assert.equal(bench.told.at(-1), "t1 complete");
  await bench.worker.close();
});

Deno.test("what a crash did not write down is found out from the container", async () => {
  const bench = new Bench();
  bench.store.setStatuses = () => {};
  await bench.assign([makeTask("t1")]);
  await bench.restart();
  assert.equal(bench.states()["t1"], "running");
  assert.equal(bench.executor.programs.get("t1")?.starts, 1);
  await bench.worker.close();
});

Deno.test("secrets are waited for after a restart, and missing ones reject", async () => {
  const bench = new Bench();
  const t1 = makeTask("t1");
  bench.executor.beforePrepare = () => {
    if (!bench.worker.secret("s1")) throw new FleetError("not-found", "secret s1 was not sent");
  };
  bench.store.replace([t1], []);
  await bench.worker.start();
  await bench.clock.advance(5_000);
  assert.deepEqual(bench.states(), { t1: "preparing" });
  const secret = { kind: "secret", id: "s1", name: "pw", data: "" } as const;
  await bench.assign([t1], [secret]);
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.states(), { t1: "running" });
  await bench.assign([t1, makeTask("t2")]);
  assert.equal(bench.told.at(-1), "t2 rejected (secret s1 was not sent)");
  assert.deepEqual(bench.states(), { t1: "running", t2: "rejected" });
  await bench.worker.close();
});

Deno.test("differences apply only to what they follow", async () => {
  const bench = new Bench();
  await bench.assign([makeTask("t1")]);
  const difference = (appliesTo: number, id: string) =>
    bench.worker.apply({
      kind: "incremental",
      appliesTo,
      resultsIn: appliesTo + 1,
      update: [{ kind: "task", id, task: makeTask(id) }],
      remove: [{ kind: "task", id: "t1" }],
    });
  assert.equal(difference(7, "t2"), false);
  assert.deepEqual(bench.states(), { t1: "running" });
  assert.equal(difference(1, "t3"), true);
  await bench.clock.settle();
  assert.deepEqual(bench.states(), { t3: "running" });
  assert.deepEqual([...bench.executor.programs.keys()], ["t3"]);
  await bench.worker.close();
});

Deno.test("a full disk refuses new tasks and still stops old ones", async () => {
  const bench = new Bench();
  const [t1, t2] = [makeTask("t1"), makeTask("t2")];
  await bench.assign([t1, t2]);
  bench.store.failure = new FleetError("unavailable", "worker.db: the disk is full");
  await bench.assign([wish(t1, "shutdown"), makeTask("t3")]);
  assert.deepEqual(bench.told.slice(-2).sort(), [
    "t1 shutdown",
    "t3 rejected (worker.db: the disk is full)",
  ]);
  assert.deepEqual(bench.states(), { t1: "shutdown" }, "t2 is taken away all the same");
  assert.deepEqual([...bench.executor.programs.keys()], ["t1"]);
  bench.store.failure = undefined;
  await bench.clock.advance(10_000);
  await bench.assign([wish(t1, "shutdown"), makeTask("t4")]);
  assert.deepEqual(bench.executor.running(), ["t4"]);
  const stored = await bench.store.list();
  assert.deepEqual(stored.map(({ task, status }) => [task.ID, status?.State]), [
    ["t1", "shutdown"],
    ["t4", undefined],
  ]);
  await bench.worker.close();
  assert.equal((await bench.store.list())[1]?.status?.State, "running", "written at the end");
});

Deno.test("an engine that is away is waited for; what it stopped has failed", async () => {
  const bench = new Bench();
  const [t1, t2] = [makeTask("t1"), makeTask("t2")];
  await bench.assign([t1]);
  bench.executor.goDown();
  await bench.clock.advance(3_000);
  await bench.assign([t1, t2]);
  await bench.clock.advance(60_000);
  assert.equal(bench.states()["t2"], "preparing");
  bench.executor.comeUp();
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.states(), { t1: "failed", t2: "running" });
  await bench.worker.close();
});

Deno.test("what cannot be removed now is removed later", async () => {
  const bench = new Bench();
  await bench.assign([makeTask("t1")]);
  bench.executor.goDown();
  await bench.assign([]);
  await bench.clock.advance(100_000);
  assert.equal(bench.executor.programs.size, 1);
  bench.executor.comeUp();
  await bench.clock.advance(30_000);
  assert.equal(bench.executor.programs.size, 0);
  await bench.worker.close();
});

Deno.test("a task that comes back while it is being removed begins anew after it", async () => {
  const bench = new Bench();
  const t1 = makeTask("t1");
  await bench.assign([t1]);
  bench.executor.goDown();
  await bench.assign([]);
  await bench.assign([t1]);
  assert.deepEqual(bench.states(), {});
  bench.executor.comeUp();
  await bench.clock.advance(2_000);
  assert.deepEqual(bench.states(), { t1: "running" });
  assert.equal(bench.executor.programs.get("t1")?.starts, 1);
  await bench.worker.close();
});

Deno.test("sweeping removes what no task owns", async () => {
  const bench = new Bench();
  await bench.assign([makeTask("t1"), makeTask("t2")]);
  bench.store.replace([], ["t2"]);
  await bench.restart();
  await bench.assign([makeTask("t1")]);
  assert.deepEqual(bench.executor.running(), ["t1", "t2"]);
  await bench.worker.sweep(AbortSignal.timeout(60_000));
  assert.deepEqual(bench.executor.running(), ["t1"]);
  await bench.worker.removeAll(AbortSignal.timeout(60_000));
  assert.equal(bench.executor.programs.size, 0);
  assert.deepEqual(await bench.store.list(), []);
  await bench.worker.close();
});

Deno.test("tasks that the managers know to be over are not begun", async () => {
  const bench = new Bench();
  await bench.assign([makeTask("t1", { Status: { State: "failed" }, DesiredState: "shutdown" })]);
  assert.deepEqual(bench.executor.programs.size, 0);
  assert.deepEqual(bench.told, []);
  await bench.worker.close();
});
