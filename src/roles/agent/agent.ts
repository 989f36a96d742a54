import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { Group } from "../../base/group.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Executor } from "../../core/task/controller.ts";
import { MAX_STATUS_BATCH } from "../../model/session.ts";
import type { FromAgent, FromDispatcher, TaskStatusUpdate } from "../../model/session.ts";
import type { TaskStatus } from "../../model/task.ts";
import type { TaskStore } from "./task_store.ts";
import { Worker } from "./worker.ts";

/** One session with the leader. */
export interface OpenSession {
  send(message: FromAgent): Promise<void>;
  readonly messages: AsyncIterable<FromDispatcher>;
  close(): void;
}

export interface SessionOpener {
  open(signal: AbortSignal): Promise<OpenSession>;
}

export interface AgentOptions {
  readonly transport: SessionOpener;
  readonly executor: Executor & { run(signal: AbortSignal): Promise<void> };
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onSession: (session: Extract<FromDispatcher, { type: "session" }>) => void;
}

/** Reconnecting begins at once and slows down to the limit; jitter keeps a cluster's agents apart. */
const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 8_000;
/** Statuses gather this long, so that a burst is one message. */
const STATUS_DELAY_MS = 20;
/** The description is looked at this often. */
const DESCRIBE_EVERY_MS = 60_000;

/**
 * The worker side of a node: a session with the leader whenever one can be had, and the tasks that were
 * assigned last whether or not.
 */
export class Agent {
  readonly worker: Worker;
  readonly #options: AgentOptions;
  readonly #unsent = new Map<string, TaskStatus>();
  #notify: () => void = () => {};
  #group: Group | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { executor, store, clock, logger } = options;
    this.worker = new Worker({
      executor,
      store,
      clock,
      logger,
      onStatus: (taskId, status) => {
        this.#unsent.set(taskId, status);
        this.#notify();
      },
    });
  }

  async start(): Promise<void> {
    await this.worker.start();
    const group = new Group();
    this.#group = group;
    group.go("engine events", (signal) => this.#options.executor.run(signal));
    group.go("session", (signal) => this.#sessions(signal));
    group.wait().catch((error: unknown) => {
      this.#options.logger.log("error", "the agent's loops ended", { error: messageOf(error) });
    });
  }

  /** Ends the session and the loops; containers go on running. */
  async stop(): Promise<void> {
    await this.#group?.stop();
    await this.worker.close();
  }

  async #sessions(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#oneSession(signal, () => failures = 0);
      } catch (error) {
        if (signal.aborted) return;
        logger.log(failures > 3 ? "warn" : "info", "no session with the managers; trying again", {
          error: messageOf(error),
        });
      }
      const limit = Math.min(FIRST_BACKOFF_MS * 2 ** failures++, LAST_BACKOFF_MS);
      await sleep(clock, limit * (0.5 + random.float() / 2), signal).catch(() => {});
    }
  }

  async #oneSession(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { transport, executor, logger } = this.#options;
    const description = await executor.describe(signal);
    const session = await transport.open(signal);
    const group = new Group(signal);
    try {
      await session.send({ type: "hello", description });
      const state = {
        sent: 0,
        unacknowledged: [] as { count: number; updates: TaskStatusUpdate[] }[],
      };
      // Everything is told again: what an earlier session sent may not have arrived.
      for (const { task, status } of this.worker.tasks()) {
        if (!this.#unsent.has(task.ID)) this.#unsent.set(task.ID, status);
      }
      group.go("messages", async () => {
        for await (const message of session.messages) {
          if (message.type === "session") {
            onOpen();
            this.#options.onSession(message);
            if (!group.signal.aborted) {
              this.#startBeating(group, session, message.heartbeatPeriodMs);
            }
            logger.log("info", "session with the managers", { session: message.sessionId });
          } else if (message.type === "ack") {
            state.unacknowledged = state.unacknowledged.filter(({ count }) =>
              count > message.count
            );
          } else if (!this.worker.apply(message.assignments)) {
            throw new Error("an assignment does not follow the last one");
          } else if (message.assignments.kind === "complete") {
            await this.worker.sweep(group.signal);
          }
        }
        throw new Error("the manager ended the session");
      });
      group.go("statuses", (inner) => this.#sendStatuses(session, state, inner));
      group.go(
        "description",
        (inner) => this.#redescribe(session, JSON.stringify(description), inner),
      );
      await group.wait();
    } finally {
      session.close();
      await group.stop();
    }
  }

  #beating = new WeakSet<OpenSession>();

  #startBeating(group: Group, session: OpenSession, periodMs: number): void {
    if (this.#beating.has(session)) return;
    this.#beating.add(session);
    group.go("heartbeat", async (signal) => {
      for (;;) {
        await sleep(
          this.#options.clock,
          periodMs * (0.8 + this.#options.random.float() * 0.2),
          signal,
        );
        await session.send({ type: "heartbeat" });
      }
    });
  }

  async #sendStatuses(
    session: OpenSession,
    state: { sent: number; unacknowledged: { count: number; updates: TaskStatusUpdate[] }[] },
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#unsent.size === 0) {
        await new Promise<void>((resolve) => {
          this.#notify = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      await sleep(this.#options.clock, STATUS_DELAY_MS, signal);
      const updates: TaskStatusUpdate[] = [];
      for (const [taskId, status] of this.#unsent) {
        if (updates.length >= MAX_STATUS_BATCH) break;
        updates.push({ taskId, status });
        this.#unsent.delete(taskId);
      }
      if (updates.length === 0) continue;
      state.unacknowledged.push({ count: ++state.sent, updates });
      await session.send({ type: "status", updates });
    }
  }

  /** Tells when labels, plug-ins or the engine's version changed. */
  async #redescribe(session: OpenSession, before: string, signal: AbortSignal): Promise<void> {
    let known = before;
    for (;;) {
      await sleep(this.#options.clock, DESCRIBE_EVERY_MS, signal);
      const description = await this.#options.executor.describe(signal).catch(() => undefined);
      if (!description || JSON.stringify(description) === known) continue;
      known = JSON.stringify(description);
      await session.send({ type: "hello", description });
    }
  }
}
