import assert from "node:assert/strict";
import { FakeExecutor } from "../../../tests/support/fake_executor.ts";
import { FakeDispatcher } from "../../../tests/support/fake_session.ts";
import { makeTask } from "../../../tests/support/make_task.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { silentLogger } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { MAX_STATUS_BATCH } from "../../model/session.ts";
import { Agent } from "./agent.ts";
import { MemoryTaskStore } from "./task_store.ts";

class Bench {
  readonly clock = new ManualClock();
  readonly executor = new FakeExecutor();
  readonly dispatcher = new FakeDispatcher();
  readonly roles: string[] = [];
  readonly agent = new Agent({
    transport: this.dispatcher,
    executor: this.executor,
    store: new MemoryTaskStore(),
    clock: this.clock,
    random: new SeededRandom(1),
    logger: silentLogger,
    onSession: ({ role }) => this.roles.push(role),
  });

  get session() {
    return this.dispatcher.current;
  }

  async start(): Promise<this> {
    await this.agent.start();
    await this.clock.settle();
    return this;
  }

  states(): Record<string, string> {
    return Object.fromEntries(
      this.agent.worker.tasks().map(({ task, status }) => [task.ID, status.State]),
    );
  }
}

Deno.test("an agent says what it is, beats, and tells how its tasks are", async () => {
  const bench = await new Bench().start();
  const { session, clock } = bench;
  assert.deepEqual(session.received, [{ type: "hello", description: bench.executor.description }]);
  assert.deepEqual(bench.roles, ["worker"]);
  session.assign([makeTask("t1"), makeTask("t2")]);
  await clock.advance(100);
  assert.deepEqual(session.told(), ["t1 running", "t2 running"], "five states, one message");
  await clock.advance(60_000);
  const beats = session.count("heartbeat");
  assert.ok(beats >= 12 && beats <= 15, `${beats} heartbeats of 5 s in a minute`);
  session.change([], ["t1"]);
  await clock.advance(100);
  assert.deepEqual(bench.executor.running(), ["t2"]);
  assert.equal(bench.dispatcher.sessions.length, 1);
  await bench.agent.stop();
  assert.deepEqual(bench.executor.running(), ["t2"], "containers go on");
  assert.ok(session.closed);
  assert.equal(clock.timers, 0, "nothing is left behind");
});

Deno.test("a broken session touches no task and everything is told again", async () => {
  const bench = await new Bench().start();
  const { clock, dispatcher, executor } = bench;
  bench.session.assign([makeTask("t1"), makeTask("t2")]);
  await clock.advance(100);
  bench.session.close();
  executor.end("t2", { code: 1 });
  await clock.advance(1_000);
  assert.equal(dispatcher.sessions.length, 2);
  assert.deepEqual(bench.session.told().sort(), ["t1 running", "t2 failed"]);
  assert.equal(executor.programs.get("t1")?.starts, 1);
  await bench.agent.stop();
});

Deno.test("what was not acknowledged is told in the next session", async () => {
  const bench = await new Bench().start();
  const { clock, dispatcher, executor } = bench;
  dispatcher.polite = false;
  bench.session.assign([makeTask("t1")]);
  executor.beforePrepare = () => {
    throw new Error("no such image");
  };
  await clock.advance(100);
  assert.deepEqual(bench.session.told(), ["t1 rejected"]);
  bench.session.change([], ["t1"]);
  await clock.advance(100);
  assert.deepEqual(bench.states(), {});
  dispatcher.polite = true;
  bench.session.close();
  await clock.advance(1_000);
  assert.deepEqual(bench.session.told(), ["t1 rejected"], "although the task is gone here");
  bench.session.close();
  await clock.advance(1_000);
  assert.deepEqual(bench.session.told(), [], "it was acknowledged");
  await bench.agent.stop();
});

Deno.test("no more than a few status messages are under way", async () => {
  const bench = await new Bench().start();
  const { clock, dispatcher, session } = bench;
  dispatcher.polite = false;
  for (let i = 0; i < 30; i++) {
    session.assign([makeTask(`t${i}`)]);
    await clock.advance(100);
  }
  assert.equal(session.count("status"), 8);
  session.tell({ type: "ack", count: 8 });
  await clock.advance(100);
  assert.equal(session.count("status"), 9, "what gathered meanwhile is one message");
  await bench.agent.stop();
});

Deno.test("a message holds at most what the session allows", async () => {
  const bench = await new Bench().start();
  const many = Array.from({ length: 2 * MAX_STATUS_BATCH + 1 }, (_, i) => makeTask(`t${i}`));
  bench.session.assign(many);
  await bench.clock.advance(1_000);
  const sizes = bench.session.received.flatMap((message) =>
    message.type === "status" ? [message.updates.length] : []
  );
  assert.equal(Math.max(...sizes), MAX_STATUS_BATCH);
  assert.equal(bench.dispatcher.statuses.size, many.length);
  assert.ok([...bench.dispatcher.statuses.values()].every(({ State }) => State === "running"));
  await bench.agent.stop();
});

Deno.test("a difference that does not follow opens the session anew", async () => {
  const bench = await new Bench().start();
  bench.session.assign([makeTask("t1")]);
  await bench.clock.advance(100);
  bench.session.tell({
    type: "assignments",
    assignments: { kind: "incremental", appliesTo: 9, resultsIn: 10, update: [], remove: [] },
  });
  await bench.clock.advance(500);
  assert.equal(bench.dispatcher.sessions.length, 2);
  bench.session.assign([makeTask("t1")]);
  await bench.clock.advance(100);
  assert.deepEqual(bench.executor.running(), ["t1"]);
  await bench.agent.stop();
});

Deno.test("reconnecting begins at once and slows down, tasks go on", async () => {
  const bench = await new Bench().start();
  const { clock, dispatcher, executor } = bench;
  bench.session.assign([makeTask("t1")]);
  await clock.advance(100);
  dispatcher.refusal = "no manager answers";
  let opens = 0;
  const { open } = dispatcher;
  dispatcher.open = (signal) => {
    opens++;
    return open.call(dispatcher, signal);
  };
  bench.session.close();
  await clock.advance(1_000);
  assert.ok(opens >= 3, `${opens} attempts in the first second`);
  opens = 0;
  await clock.advance(600_000);
  assert.ok(opens >= 75 && opens <= 160, `${opens} attempts in ten minutes`);
  assert.deepEqual(executor.running(), ["t1"]);
  dispatcher.refusal = undefined;
  await clock.advance(8_000);
  assert.equal(bench.dispatcher.sessions.length, 2);
  await bench.agent.stop();
});

Deno.test("a leader that does not answer the hello is left", async () => {
  const bench = new Bench();
  bench.dispatcher.polite = false;
  await bench.start();
  await bench.clock.advance(9_000);
  assert.equal(bench.dispatcher.sessions.length, 1);
  await bench.clock.advance(2_000);
  assert.ok(bench.dispatcher.sessions[0]!.closed);
  assert.equal(bench.dispatcher.sessions.length, 2);
  await bench.agent.stop();
});

Deno.test("a short absence of the engine keeps the session, a long one ends it", async () => {
  const bench = await new Bench().start();
  const { clock, dispatcher, executor } = bench;
  bench.session.assign([makeTask("t1")]);
  await clock.advance(100);
  executor.goDown();
  await clock.advance(8_000);
  executor.comeUp();
  await clock.advance(60_000);
  assert.equal(dispatcher.sessions.length, 1);
  assert.equal(dispatcher.statuses.get("t1")?.State, "failed", "the engine took it along");
  executor.goDown();
  await clock.advance(30_000);
  assert.ok(bench.session.closed, "the node shall not be given tasks");
  assert.equal(dispatcher.sessions.length, 1);
  executor.comeUp();
  await clock.advance(8_000);
  assert.equal(dispatcher.sessions.length, 2);
  await bench.agent.stop();
});

Deno.test("a changed description is told, an equal one is not", async () => {
  const bench = await new Bench().start();
  await bench.clock.advance(60_000);
  assert.equal(bench.session.count("hello"), 1);
  bench.executor.description = { Hostname: "renamed" };
  await bench.clock.advance(20_000);
  assert.deepEqual(bench.session.received.filter(({ type }) => type === "hello").at(-1), {
    type: "hello",
    description: { Hostname: "renamed" },
  });
  await bench.agent.stop();
});

Deno.test("containers without a task go when the managers have spoken", async () => {
  const bench = new Bench();
  bench.executor.programs.set("orphan", {
    state: "running",
    exit: { code: 0 },
    starts: 1,
    ended: Promise.withResolvers(),
  });
  bench.dispatcher.refusal = "no manager answers";
  await bench.start();
  await bench.clock.advance(20_000);
  assert.deepEqual(bench.executor.running(), ["orphan"], "nobody said that it shall go");
  bench.dispatcher.refusal = undefined;
  await bench.clock.advance(8_000);
  bench.session.assign([makeTask("t1")]);
  await bench.clock.advance(100);
  assert.deepEqual(bench.executor.running(), ["t1"]);
  await bench.agent.stop();
});

Deno.test("an agent that will be back says so, when there is somebody to tell", async () => {
  const bench = await new Bench().start();
  await bench.agent.announceRestart();
  assert.equal(bench.session.count("restarting"), 1);
  await bench.agent.stop();
  await bench.agent.announceRestart();
  assert.equal(bench.session.count("restarting"), 1);
});

Deno.test("run ends with its signal", async () => {
  const bench = new Bench();
  const abort = new AbortController();
  const running = bench.agent.run(abort.signal);
  await bench.clock.settle();
  abort.abort();
  await running;
  assert.equal(bench.clock.timers, 0);
});
