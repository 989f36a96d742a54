import assert from "node:assert/strict";
import type { ApiService, ApiTask } from "../api_types.ts";
import { stepProgress } from "./progress.ts";
import { lineText, progressDisplay } from "./progress_display.ts";
import { INITIAL_PROGRESS } from "./progress_state.ts";
import type { Observation, ProgressState } from "./progress_state.ts";

function service(more: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) {
  return {
    ID: "svc1",
    Spec: { Name: "web", Mode: { Replicated: { Replicas: 2 } }, ...spec },
    ...more,
  } as unknown as ApiService;
}

function task(slot: number, state: string, more: Record<string, unknown> = {}): ApiTask {
  const { err, ...rest } = more;
  return {
    ID: `t${slot}${state}`,
    Slot: slot,
    NodeID: "n1",
    DesiredState: "running",
    Status: { State: state, ...(err ? { Err: err } : {}) },
    ...rest,
  } as unknown as ApiTask;
}

function seen(of: ApiService, tasks: readonly ApiTask[], nodes = ["n1", "n2"]): Observation {
  return { service: of, tasks, activeNodes: new Set(nodes) };
}

function texts(state: ProgressState, columns = 120): string[] {
  return state.lines.map((line) => lineText(line, columns));
}

Deno.test("a service comes up: empty bars, bars, verify, converged", () => {
  let state = stepProgress(INITIAL_PROGRESS, seen(service(), []), 0);
  assert.deepEqual(texts(state), ["overall progress: 0 out of 2 tasks", "1/2: ", "2/2: "]);
  state = stepProgress(state, seen(service(), [task(1, "new"), task(2, "preparing")]), 200);
  assert.deepEqual(texts(state), [
    "overall progress: 0 out of 2 tasks",
    `1/2: new       [=====>${" ".repeat(45)}] `,
    `2/2: preparing [${"=".repeat(33)}>${" ".repeat(17)}] `,
  ]);
  state = stepProgress(state, seen(service(), [task(1, "running"), task(2, "running")]), 400);
  assert.deepEqual(texts(state), [
    "overall progress: 2 out of 2 tasks",
    `1/2: running   [${"=".repeat(50)}>] `,
    `2/2: running   [${"=".repeat(50)}>] `,
    "verify: Waiting 5 seconds to verify that tasks are stable...",
  ]);
  state = stepProgress(state, seen(service(), [task(1, "running"), task(2, "running")]), 3500);
  assert.match(texts(state).at(-1) ?? "", /Waiting 2 seconds/);
  state = stepProgress(state, seen(service(), [task(1, "running"), task(2, "running")]), 5400);
  assert.equal(texts(state).at(-1), "verify: Service svc1 converged");
  assert.deepEqual(state.outcome, { kind: "converged" });
});

Deno.test("a task that fails while verifying starts the clock again", () => {
  const up = [task(1, "running"), task(2, "running")];
  let state = stepProgress(INITIAL_PROGRESS, seen(service(), up), 0);
  state = stepProgress(state, seen(service(), [up[0]!, task(2, "failed", { err: "a\nb" })]), 1000);
  assert.deepEqual(texts(state).slice(2), ["2/2: a b", "verify: Detected task failure"]);
  assert.equal(state.convergedAt, undefined);
  state = stepProgress(state, seen(service(), up), 2000);
  state = stepProgress(state, seen(service(), up), 6900);
  assert.equal(state.outcome, undefined);
  state = stepProgress(state, seen(service(), up), 7000);
  assert.deepEqual(state.outcome, { kind: "converged" });
});

Deno.test("per slot the lowest desired state wins, and tasks on nodes that are down do not count", () => {
  const tasks = [
    task(1, "failed", { DesiredState: "shutdown" }),
    task(1, "running"),
    task(2, "running", { NodeID: "gone" }),
    task(2, "assigned", { NodeID: "n2" }),
  ];
  const state = stepProgress(INITIAL_PROGRESS, seen(service(), tasks), 0);
  assert.match(texts(state)[0] ?? "", /1 out of 2/);
  assert.match(texts(state)[2] ?? "", /^2\/2: assigned /);
});

Deno.test("the update's monitor is how long to verify", () => {
  const slow = service({}, { UpdateConfig: { Monitor: 30_000_000_000 } });
  const up = [task(1, "running"), task(2, "running")];
  const state = stepProgress(INITIAL_PROGRESS, seen(slow, up), 0);
  assert.match(texts(state).at(-1) ?? "", /Waiting 30 seconds/);
});

Deno.test("an update ends when it is completed, paused or rolled back", () => {
  const at = (State: string, Message = "why") => service({ UpdateStatus: { State, Message } });
  const up = [task(1, "running"), task(2, "running")];
  assert.deepEqual(
    stepProgress(INITIAL_PROGRESS, seen(at("completed"), []), 0).outcome,
    { kind: "converged" },
  );
  assert.deepEqual(
    stepProgress(INITIAL_PROGRESS, seen(at("paused"), []), 0).outcome,
    { kind: "paused", message: "service update paused: why" },
  );
  assert.deepEqual(
    stepProgress(INITIAL_PROGRESS, seen(at("rollback_paused"), []), 0).outcome,
    { kind: "paused", message: "service rollback paused: why" },
  );
  let state = stepProgress(INITIAL_PROGRESS, seen(at("rollback_started", "rolling"), []), 0);
  assert.deepEqual(texts(state).slice(0, 2), [
    "rollback: rolling",
    "overall progress: rolling back update: 0 out of 2 tasks",
  ]);
  state = stepProgress(state, seen(at("rollback_completed", "rolled back"), up), 0);
  state = stepProgress(state, seen(at("rollback_completed", "rolled back"), up), 5000);
  assert.deepEqual(state.outcome, { kind: "rolled-back", message: "rolled back" });
  assert.equal(texts(state)[0], "rollback: rolled back");
});

Deno.test("a roll-back whose tasks run before it is over is still a roll-back", () => {
  const at = (State: string) => service({ UpdateStatus: { State, Message: State } });
  const up = [task(1, "running"), task(2, "running")];
  let state = stepProgress(INITIAL_PROGRESS, seen(at("rollback_started"), up), 0);
  state = stepProgress(state, seen(at("rollback_started"), up), 9000);
  assert.equal(state.outcome, undefined);
  state = stepProgress(state, seen(at("rollback_completed"), up), 9200);
  assert.deepEqual(state.outcome, { kind: "rolled-back", message: "rollback_completed" });
});

Deno.test("more than twenty tasks have no bars of their own", () => {
  const many = service({}, { Mode: { Replicated: { Replicas: 21 } } });
  const state = stepProgress(INITIAL_PROGRESS, seen(many, [task(1, "running")]), 0);
  assert.deepEqual(texts(state), ["overall progress: 1 out of 21 tasks"]);
});

Deno.test("a global service counts the nodes that have tasks", () => {
  const global = service({}, { Mode: { Global: {} } });
  let state = stepProgress(INITIAL_PROGRESS, seen(global, []), 0);
  assert.deepEqual(texts(state), ["overall progress: waiting for new tasks"]);
  const on = (node: string, state: string) => task(0, state, { NodeID: node, Slot: undefined });
  const nodes = ["node1aaaaaaaaaaaa", "node2aaaaaaaaaaaa"];
  state = stepProgress(
    state,
    seen(global, [on(nodes[0]!, "running"), on(nodes[1]!, "starting")], nodes),
    200,
  );
  assert.deepEqual(texts(state).map((line) => line.slice(0, 35).trimEnd()), [
    "overall progress: 1 out of 2 tasks",
    "node1aaaaaaa: running   [==========",
    "node2aaaaaaa: starting  [==========",
  ]);
});

Deno.test("a job ends when it is complete, without verifying", () => {
  const job = service({ JobStatus: { JobIteration: { Index: 7 } } }, {
    Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 3 } },
  });
  const of = (slot: number, state: string, iteration = 7) =>
    task(slot, state, { JobIteration: { Index: iteration }, DesiredState: "complete" });
  const first = [of(0, "complete"), of(1, "running"), of(2, "complete", 6)];
  let state = stepProgress(INITIAL_PROGRESS, seen(job, first), 0);
  assert.deepEqual(texts(state, 200).map((line) => line.split("[")[0]!.trimEnd()), [
    "job progress: 1 out of 3 complete",
    "active tasks: 1 out of 2 tasks",
    "1/3: complete",
    "2/3: running",
  ]);
  const last = [0, 1, 2].map((slot) => of(slot, "complete"));
  state = stepProgress(state, seen(job, last), 200);
  assert.deepEqual(state.outcome, { kind: "converged" });
  assert.equal(texts(state).at(-1), "job complete");
});

Deno.test("lines never reach the end of the terminal, and bars shrink with it", () => {
  const line = { id: "1/3", text: "preparing", step: 6, steps: 9 };
  assert.equal(lineText(line, 40), "1/3: preparing [=============>        ]");
  assert.equal(lineText(line, 20), "1/3: preparing ");
  assert.equal(lineText({ id: "1/3", text: "x".repeat(50) }, 20).length, 19);
});

function capture(isTTY: boolean) {
  const out = { text: "" };
  const write = (text: string) => void (out.text += text);
  return {
    out,
    stream: { write, writeBytes: () => {}, isTTY, columns: () => 60, size: () => undefined },
  };
}

Deno.test("a terminal is redrawn in place, other outputs get changed lines without bars", () => {
  const rounds = [
    [{ id: "a", text: "1" }, { id: "b", text: "new", step: 1, steps: 9 }],
    [{ id: "a", text: "1" }, { id: "b", text: "running", step: 9, steps: 9 }],
    [{ id: "a", text: "2" }, { id: "b", text: "running", step: 9, steps: 9 }, {
      id: "c",
      text: "end",
    }],
  ];
  const terminal = capture(true);
  const display = progressDisplay(terminal.stream);
  for (const lines of rounds) display.show(lines);
  assert.equal(
    terminal.out.text.replaceAll("\x1b[2K", "^").replaceAll("\x1b[", "~").replace(/=+>? *\]/g, "]"),
    "\r^a: 1\n\r^b: new []\n" + "~2A\n\r^b: running []\n" + "~2A\r^a: 2\n\n\r^c: end\n",
  );
  const plain = capture(false);
  const lines = progressDisplay(plain.stream);
  for (const round of rounds) lines.show(round);
  assert.equal(plain.out.text, "a: 1\na: 2\nc: end\n");
});
