import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { TaskState } from "../../model/task_state.ts";
import { timeText } from "../../model/meta.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import type { Controller, TaskFacts } from "./controller.ts";
import { exitSentence, TemporaryError } from "./controller.ts";

/**
 * Does exactly one step of a task's life and says what it is after it, or `undefined` when nothing is to
 * be done until the task changes. States, messages and their order are SwarmKit's.
 *
 * @throws TemporaryError when the step shall be tried again; the reason of `signal` when it was aborted
 */
export async function step(
  task: Task,
  status: TaskStatus,
  controller: Controller,
  options: {
    readonly now: () => number;
    readonly signal: AbortSignal;
    /** Called before a task that runs is stopped: returns when nothing is sent to it any more. */
    readonly drain?: (task: Task, status: TaskStatus, signal: AbortSignal) => Promise<void>;
  },
): Promise<TaskStatus | undefined> {
  const state: TaskState = status.State;
  const { signal, now } = options;
  const next = (to: TaskState, message: string, more: Partial<TaskStatus> = {}): TaskStatus => ({
    ...status,
    ...more,
    State: to,
    Message: message,
    Timestamp: timeText(now()),
  });
  if (isTerminal(state)) return undefined;

  if (compareStates(task.DesiredState, "shutdown") >= 0) {
    if (state === "running") await options.drain?.(task, status, signal);
    await controller.shutdown(signal);
    const mayHaveRun = compareStates(state, "starting") >= 0;
    return next("shutdown", "shutdown", mayHaveRun ? await factsOf(controller) : {});
  }
  switch (state) {
    case "new":
    case "allocated":
    case "pending":
    case "assigned":
      return next("accepted", "accepted");
    case "accepted":
      return next("preparing", "preparing");
    case "preparing":
      return await attempt(() => controller.prepare(signal), signal, {
        done: () => next("ready", "prepared"),
        failed: (sentence) => next("rejected", "preparing", { Err: sentence }),
      });
    case "ready":
      if (compareStates(task.DesiredState, "running") < 0) return undefined;
      return next("starting", "starting");
    case "starting":
      return await attempt(() => controller.start(signal), signal, {
        done: async () => next("running", "started", await factsOf(controller)),
        failed: async (sentence) =>
          next("failed", "starting", { ...await factsOf(controller), Err: sentence }),
      });
    case "running": {
      const exit = await controller.wait(signal);
      const facts = await factsOf(controller);
      if (exit.code === 0 && exit.reason === undefined) return next("complete", "finished", facts);
      return next("failed", "started", { ...facts, Err: exitSentence(exit) });
    }
    default:
      return undefined;
  }
}

async function attempt<T>(
  act: () => Promise<void>,
  signal: AbortSignal,
  outcome: {
    done: () => T | Promise<T>;
    failed: (sentence: string) => T | Promise<T>;
  },
): Promise<T> {
  try {
    await act();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TemporaryError) throw error;
    return await outcome.failed(error instanceof Error ? error.message : String(error));
  }
  return await outcome.done();
}

async function factsOf(controller: Controller): Promise<Partial<TaskStatus>> {
  let facts: TaskFacts;
  try {
    facts = await controller.facts();
  } catch {
    return {};
  }
  return {
    ...(facts.container ? { ContainerStatus: facts.container } : {}),
    ...(facts.ports ? { PortStatus: { Ports: facts.ports } } : {}),
  };
}
