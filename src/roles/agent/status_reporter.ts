import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { MAX_STATUS_BATCH } from "../../model/session.ts";
import type { FromAgent, TaskStatusUpdate } from "../../model/session.ts";
import { compareStates } from "../../model/task_state.ts";
import type { TaskStatus } from "../../model/task.ts";

/** Statuses gather this long, so that a burst is one message. */
const GATHER_MS = 50;
/** Messages that the managers have not acknowledged; more wait until they did. */
const MAX_IN_FLIGHT = 8;

/**
 * Brings statuses to the managers: the newest of each task, in order, again in the next session when
 * this one did not acknowledge them.
 */
export class StatusReporter {
  readonly #clock: Clock;
  /** To be told, newest of each task. */
  readonly #unsent = new Map<string, TaskStatus>();
  /** Sent in this session and not acknowledged, oldest first. */
  readonly #inFlight: { readonly count: number; readonly updates: readonly TaskStatusUpdate[] }[] =
    [];
  #wake: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  put(taskId: string, status: TaskStatus): void {
    const waiting = this.#unsent.get(taskId);
    if (waiting && compareStates(waiting.State, status.State) > 0) return;
    this.#unsent.set(taskId, status);
    this.#wake();
  }

  /** The managers have stored the first `count` messages of the session. */
  acknowledged(count: number): void {
    while (this.#inFlight.length > 0 && this.#inFlight[0]!.count <= count) this.#inFlight.shift();
    this.#wake();
  }

  /** Sends in one session until `signal` ends it. */
  async run(send: (message: FromAgent) => Promise<void>, signal: AbortSignal): Promise<void> {
    this.#takeBack();
    const onAbort = () => this.#wake();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (let count = 1;; count++) await this.#sendNext(count, send, signal);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #sendNext(
    count: number,
    send: (message: FromAgent) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#unsent.size > 0 && this.#inFlight.length < MAX_IN_FLIGHT) break;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    await sleep(this.#clock, GATHER_MS, signal);
    const updates: TaskStatusUpdate[] = [];
    for (const [taskId, status] of this.#unsent) {
      if (updates.length === MAX_STATUS_BATCH) break;
      updates.push({ taskId, status });
      this.#unsent.delete(taskId);
    }
    this.#inFlight.push({ count, updates });
    await send({ type: "status", updates });
  }

  /** What an earlier session sent in vain, unless there is something newer to say. */
  #takeBack(): void {
    for (const { updates } of this.#inFlight.splice(0)) {
      for (const { taskId, status } of updates) this.put(taskId, status);
    }
  }
}
