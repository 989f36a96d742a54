import assert from "node:assert/strict";
import { SECOND_NS } from "../../base/duration.ts";
import type { Service } from "../../model/service.ts";
import type { RestartPolicy } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import { timeText } from "../../model/meta.ts";
import { mayRestart, restartDelayMs, restartFields } from "./restart.ts";

const META = { Version: { Index: 1 }, CreatedAt: "", UpdatedAt: "" };

function service(RestartPolicy: RestartPolicy, more: object = {}): Service {
  return {
    ...META,
    ID: "s",
    Spec: { TaskTemplate: { RestartPolicy }, ...more },
    SpecVersion: { Index: 1 },
  };
}

function ended(state: "failed" | "complete", more: Partial<Task> = {}): Task {
  return {
    ...META,
    ID: "t",
    Spec: {},
    SpecVersion: { Index: 1 },
    Status: { State: state, AppliedAt: timeText(100_000) },
    DesiredState: "running",
    ...more,
  };
}

Deno.test("the condition decides", () => {
  const answers = (["any", "on-failure", "none"] as const).map((Condition) =>
    (["failed", "complete"] as const).map((state) =>
      mayRestart(service({ Condition }), ended(state))
    )
  );
  assert.deepEqual(answers, [[true, true], [true, false], [false, false]]);
});

Deno.test("attempts are counted per slot and spec", () => {
  const twice = service({ MaxAttempts: 2 });
  assert.equal(mayRestart(twice, ended("failed", { Attempts: 1 })), true);
  assert.equal(mayRestart(twice, ended("failed", { Attempts: 2 })), false);
  const older = ended("failed", { Attempts: 2, SpecVersion: { Index: 0 } });
  assert.equal(mayRestart(twice, older), true);
});

Deno.test("within a window only what was made in it counts", () => {
  const policy = service({ MaxAttempts: 2, Window: 10 * SECOND_NS });
  const last = (...ms: number[]) =>
    ended("failed", { Attempts: 9, AttemptTimes: ms.map((at) => timeText(at)) });
  assert.equal(mayRestart(policy, last(70_000, 80_000, 99_000)), true);
  assert.equal(mayRestart(policy, last(95_000, 99_000)), false);
  const { AttemptTimes } = restartFields(policy, last(70_000, 95_000), 100_000);
  assert.deepEqual(AttemptTimes, [timeText(95_000), timeText(100_000)]);
});

Deno.test("a crash loop slows down to five minutes, unless told not to", () => {
  const delays = (of: Service) => [1, 5, 6, 7, 8, 20].map((n) => restartDelayMs(of, n) / 1000);
  assert.deepEqual(delays(service({ Delay: 5 * SECOND_NS })), [5, 5, 10, 20, 40, 300]);
  assert.deepEqual(delays(service({ Delay: 0 })), [0, 0, 2, 4, 8, 300]);
  assert.deepEqual(delays(service({ Delay: 600 * SECOND_NS })), [600, 600, 600, 600, 600, 600]);
  const steady = service({ Delay: 5 * SECOND_NS }, { Backoff: false });
  assert.deepEqual(delays(steady), [5, 5, 5, 5, 5, 5]);
});

Deno.test("who ran for a while is not in a loop, but its attempts count", () => {
  const task = ended("failed", { RestartCount: 7, Attempts: 7, RunningAt: timeText(89_000) });
  const fields = restartFields(service({}), task, 100_000);
  assert.deepEqual([fields.RestartCount, fields.Attempts], [1, 8]);
  const loop = restartFields(service({}), { ...task, RunningAt: timeText(99_000) }, 100_000);
  assert.equal(loop.RestartCount, 8);
});
