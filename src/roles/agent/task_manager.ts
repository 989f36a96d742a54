import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { TemporaryError } from "../../core/task/controller.ts";
import type { Controller } from "../../core/task/controller.ts";
import { step } from "../../core/task/step.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task, TaskStatus } from "../../model/task.ts";

/** After a temporary failure the step is tried again this much later. */
const RETRY_MS = 1_000;
/** What cannot be removed is tried again, ever more slowly up to this. */
const LAST_REMOVAL_RETRY_MS = 30_000;

export interface TaskManagerOptions {
  readonly controller: Controller;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onStatus: (status: TaskStatus) => void;
  /** Waits until a task that runs may be stopped; `draining.ts` is the real one. */
  readonly drain?: (task: Task, status: TaskStatus, signal: AbortSignal) => Promise<void>;
}

/** Drives one task through its life, one step after the other. */
export class TaskManager {
  #task: Task;
  #status: TaskStatus;
  readonly #options: TaskManagerOptions;
  readonly #stop = new AbortController();
  /** Ends the step that is under way. */
  #interrupt = new AbortController();
  /** The task changed since the step under way began. */
  #changed = false;
  #wake: () => void = () => {};
  readonly #done: Promise<void>;

  constructor(task: Task, status: TaskStatus, options: TaskManagerOptions) {
    this.#task = task;
    this.#status = status;
    this.#options = options;
    this.#done = this.#run();
  }

  get task(): Task {
    return this.#task;
  }

  get status(): TaskStatus {
    return this.#status;
  }

  /**
   * A newer version of the task; only its desired state can change what is done. A step under way is
   * ended only when the task shall stop: preparing goes on when a waiting task may start.
   */
  update(task: Task): void {
    const mustStop = shallStop(task) && !shallStop(this.#task);
    this.#task = task;
    this.#changed = true;
    if (mustStop) this.#interrupt.abort(new DOMException("the task shall stop", "AbortError"));
    this.#wake();
  }

  /** Ends the driving; what runs goes on running. */
  async close(): Promise<void> {
    this.#stop.abort(new DOMException("the agent stops", "AbortError"));
    this.#interrupt.abort(this.#stop.signal.reason);
    this.#wake();
    await this.#done;
  }

  /** Stops the program and removes everything the task left; tries until it succeeds or is aborted. */
  async remove(signal: AbortSignal): Promise<void> {
    await this.close();
    const { controller, clock, logger } = this.#options;
    for (let delayMs = RETRY_MS;; delayMs = Math.min(2 * delayMs, LAST_REMOVAL_RETRY_MS)) {
      try {
        await controller.shutdown(signal);
        await controller.remove(signal);
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        logger.log("warn", "cannot remove the task's container yet", { error: messageOf(error) });
        await sleep(clock, delayMs, signal);
      }
    }
  }

  async #run(): Promise<void> {
    const { controller, clock, logger, drain } = this.#options;
    const stop = this.#stop.signal;
    while (!stop.aborted) {
      this.#interrupt = new AbortController();
      this.#changed = false;
      const { signal } = this.#interrupt;
      try {
        const next = await step(this.#task, this.#status, controller, {
          now: () => clock.now(),
          signal,
          ...(drain ? { drain } : {}),
        });
        if (next !== undefined) this.#report(next);
        else await this.#idle();
      } catch (error) {
        if (stop.aborted) return;
        if (signal.aborted) continue;
        const level = error instanceof TemporaryError ? "debug" : "warn";
        logger.log(level, "a step of the task did not succeed; trying again", {
          state: this.#status.State,
          error: messageOf(error),
        });
        await sleep(clock, RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** Waits for an update or the end. */
  #idle(): Promise<void> {
    if (this.#changed || this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** A state may only move up: what was said once is never taken back. */
  #report(next: TaskStatus): void {
    if (compareStates(next.State, this.#status.State) <= 0) return;
    this.#status = next;
    this.#options.onStatus(next);
  }
}

function shallStop(task: Task): boolean {
  return compareStates(task.DesiredState, "shutdown") >= 0;
}
