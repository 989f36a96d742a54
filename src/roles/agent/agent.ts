import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import { Group } from "../../base/group.ts";
import type { Logger } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Executor } from "../../core/task/controller.ts";
import type { Assignments, FromAgent, FromDispatcher } from "../../model/session.ts";
import type { NodeDescription, TLSInfo } from "../../model/node.ts";
import { Draining } from "./draining.ts";
import type { ConnectionCounter } from "./draining.ts";
import { EngineWatch } from "./engine_watch.ts";
import type { RpcStream } from "../rpc.ts";
import { Questions } from "./questions.ts";
import type { ContainerReader, NodeAnswers } from "./questions.ts";
import { StatusReporter } from "./status_reporter.ts";
import type { TaskStore } from "./task_store.ts";
import { Worker } from "./worker.ts";
import type { LocalTask } from "./worker.ts";

/** One session with the leader. */
export interface OpenSession {
  send(message: FromAgent): Promise<void>;
  /** Ends, or throws, when the session is over. */
  readonly messages: AsyncIterable<FromDispatcher>;
  /** A stream of its own for the answer to a question. */
  answer(requestId: string): RpcStream;
  close(): void;
}

/** Finds the leader; `src/roles/node/session_transport.ts` implements it over mutual TLS. */
export interface SessionOpener {
  /** @throws FleetError unavailable, naming who was tried */
  open(signal: AbortSignal): Promise<OpenSession>;
}

/** An executor with an engine that comes and goes. */
export interface AgentExecutor extends Executor {
  /** Follows what happens on the engine until the signal; waits for an engine that is away. */
  run(signal: AbortSignal): Promise<void>;
  /** @throws FleetError unavailable when the engine does not answer */
  ping(signal: AbortSignal): Promise<void>;
}

/** The node's overlay networks; `network_sync.ts` is the real one. */
export interface AgentNetworks {
  /** `done` is called once the kernel holds that, or something newer. */
  apply(assignments: Assignments, done: () => void): void;
  run(signal: AbortSignal): Promise<void>;
}

export interface AgentOptions {
  readonly transport: SessionOpener;
  readonly executor: AgentExecutor;
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly networks?: AgentNetworks;
  /** Follows containers outside services that are on networks of the cluster, until the signal. */
  readonly attached?: (signal: AbortSignal) => Promise<void>;
  /** Reads for managers; without it their questions are refused. */
  readonly reader?: ContainerReader;
  /** Looks at tasks' connections; without it tasks are stopped at once. */
  readonly connections?: ConnectionCounter;
  /** Answers managers about this node itself. */
  readonly node?: NodeAnswers;
  readonly onSession: (session: Extract<FromDispatcher, { type: "session" }>) => void;
  /** This node's certificate, which goes with its description. */
  readonly tls?: {
    info(): TLSInfo;
    /** Calls `listener` when it has changed; the function returned ends it. */
    onChange(listener: () => void): () => void;
  };
}

/** Reconnecting begins at once and slows down to the limit; jitter keeps a cluster's agents apart. */
const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 8_000;
/** Failures in a row after which a session that cannot be had is worth a warning. */
const QUIET_FAILURES = 3;
/** The leader answers a hello within this, or is not one any more. */
const HELLO_TIMEOUT_MS = 10_000;
/** The description is looked at this often (Docker: 20 s). */
const DESCRIBE_EVERY_MS = 20_000;
/** Between attempts to remove what nobody owns, while the engine is away. */
const SWEEP_RETRY_MS = 5_000;

/**
 * The worker side of a node: a session with the leader whenever one can be had, and the tasks that were
 * assigned last whether or not.
 */
export class Agent {
  readonly worker: Worker;
  readonly #options: AgentOptions;
  readonly #reporter: StatusReporter;
  readonly #questions: Questions | undefined;
  readonly #draining: Draining | undefined;
  #session: OpenSession | undefined;
  #group: Group | undefined;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#reporter = new StatusReporter(options.clock);
    const { executor, store, clock, logger } = options;
    const { reader, node, connections } = options;
    const draining = connections && new Draining({ connections, clock, logger });
    this.#draining = draining;
    if (reader) {
      this.#questions = new Questions({
        reader,
        node,
        containerOf: (id) =>
          this.worker.localTasks().find(({ taskId }) => taskId === id)?.containerId,
        logger,
      });
    }
    this.worker = new Worker({
      executor,
      store,
      clock,
      logger,
      onStatus: (taskId, status) => this.#reporter.put(taskId, status),
      ...(draining ? { drain: (task, status, signal) => draining.wait(task, status, signal) } : {}),
    });
  }

  /** Takes up the stored tasks and begins to look for the managers. */
  async start(): Promise<void> {
    await this.worker.start();
    const group = new Group();
    this.#group = group;
    group.go("engine events", (signal) => this.#options.executor.run(signal));
    group.go("session", (signal) => this.#sessions(signal));
    const { networks, attached } = this.#options;
    if (networks) group.go("overlay networks", (signal) => networks.run(signal));
    if (attached) group.go("attached containers", (signal) => attached(signal));
    group.wait().catch((error: unknown) => {
      this.#options.logger.log("error", "the agent's loops ended", { error: messageOf(error) });
    });
  }

  /** Tells the managers, if it can, that the agent is about to end and to come back. */
  async announceRestart(): Promise<void> {
    await this.#session?.send({ type: "restarting" }).catch(() => {});
  }

  /** Ends the session and the loops; containers go on running. */
  async stop(): Promise<void> {
    await this.#group?.stop();
    await this.worker.close();
  }

  /** From start to the signal's end. @throws what ended a loop that should not end */
  async run(signal: AbortSignal): Promise<void> {
    await this.start();
    const { promise, resolve } = Promise.withResolvers<void>();
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    try {
      await Promise.race([promise, this.#group?.wait()]);
    } finally {
      await this.stop();
    }
  }

  /** The tasks of this node and their containers, without asking the managers. */
  localTasks(): LocalTask[] {
    return this.worker.localTasks();
  }

  async #sessions(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#oneSession(signal, () => failures = 0);
      } catch (error) {
        if (signal.aborted) return;
        const level = failures > QUIET_FAILURES ? "warn" : "info";
        logger.log(level, "no session with the managers; trying again", {
          error: messageOf(error),
        });
      }
      const limit = Math.min(FIRST_BACKOFF_MS * 2 ** failures++, LAST_BACKOFF_MS);
      await sleep(clock, limit * (0.5 + random.float() / 2), signal).catch(() => {});
    }
  }

  async #oneSession(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { transport, executor, clock } = this.#options;
    // Without an engine nothing can run here: the managers shall not think so.
    const description = this.#withTls(await executor.describe(signal));
    const session = await transport.open(signal);
    const group = new Group(signal);
    // Whoever fails first ends the stream too: the one who reads it waits for nothing else.
    if (group.signal.aborted) session.close();
    group.signal.addEventListener("abort", () => session.close(), { once: true });
    this.#session = session;
    try {
      await session.send({ type: "hello", description });
      const opened = Promise.withResolvers<number>();
      group.go("messages", (inner) =>
        this.#receive(session, group, inner, (periodMs) => {
          onOpen();
          opened.resolve(periodMs);
        }));
      group.go("hello", async (inner) => {
        const cancel = clock.after(
          HELLO_TIMEOUT_MS,
          () => opened.reject(new FleetError("timeout", "the leader does not answer the hello")),
        );
        inner.addEventListener("abort", () => opened.reject(inner.reason), { once: true });
        try {
          await opened.promise;
        } finally {
          cancel();
        }
        // Everything is told again: what an earlier session sent may not have arrived.
        for (const { task, status } of this.worker.tasks()) this.#reporter.put(task.ID, status);
        group.go(
          "statuses",
          (last) => this.#reporter.run((message) => session.send(message), last),
        );
      });
      group.go(
        "description",
        (inner) => this.#redescribe(session, description, inner),
      );
      group.go("engine", (inner) => new EngineWatch(executor, clock).untilGone(inner));
      await group.wait();
    } finally {
      this.#session = undefined;
      await group.stop();
    }
  }

  async #receive(
    session: OpenSession,
    group: Group,
    signal: AbortSignal,
    onSession: (heartbeatPeriodMs: number) => void,
  ): Promise<void> {
    const { logger } = this.#options;
    let heartbeatPeriodMs = 0;
    for await (const message of session.messages) {
      signal.throwIfAborted();
      switch (message.type) {
        case "session":
          if (heartbeatPeriodMs === 0) {
            logger.log("info", "session with the managers", { session: message.sessionId });
            group.go("heartbeat", (inner) => this.#beat(session, () => heartbeatPeriodMs, inner));
          }
          heartbeatPeriodMs = message.heartbeatPeriodMs;
          onSession(heartbeatPeriodMs);
          this.#options.onSession(message);
          break;
        case "ack":
          this.#reporter.acknowledged(message.count);
          break;
        case "drained":
          this.#draining?.drained(message.taskId);
          break;
        case "question":
          // Not awaited: an answer may take as long as somebody follows a log. It never throws.
          void this.#questions?.answer(message, () => session.answer(message.requestId));
          break;
        case "assignments":
          if (!this.worker.apply(message.assignments)) {
            throw new FleetError("invalid", "an assignment does not follow the last one");
          }
          this.#options.networks?.apply(message.assignments, () => {
            // A session that is over is noticed by its reader; the next one begins with everything.
            session.send({ type: "applied", sequence: message.assignments.resultsIn })
              .catch(() => {});
          });
          if (message.assignments.kind === "complete") {
            group.go("sweep", (inner) => this.#sweep(inner));
          }
          break;
      }
    }
    signal.throwIfAborted();
    throw new FleetError("unavailable", "the manager ended the session");
  }

  async #beat(session: OpenSession, periodMs: () => number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (;;) {
      await sleep(clock, periodMs() * (0.8 + random.float() * 0.2), signal);
      await session.send({ type: "heartbeat" });
    }
  }

  /** Removes what no task owns, once the engine is there to do it. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    for (;;) {
      try {
        return await this.worker.sweep(signal);
      } catch (error) {
        signal.throwIfAborted();
        logger.log("info", "cannot look for containers without a task yet", {
          error: messageOf(error),
        });
        await sleep(clock, SWEEP_RETRY_MS, signal);
      }
    }
  }

  #withTls(description: NodeDescription): NodeDescription {
    const { tls } = this.#options;
    return tls ? { ...description, TLSInfo: tls.info() } : description;
  }

  /** Tells when labels, plug-ins or the engine's version changed, and of another certificate at once. */
  async #redescribe(
    session: OpenSession,
    told: NodeDescription,
    signal: AbortSignal,
  ): Promise<void> {
    let known = told;
    for (;;) {
      const current = this.#withTls(known);
      if (JSON.stringify(current) !== JSON.stringify(known)) {
        known = current;
        await session.send({ type: "hello", description: known });
      }
      if (await this.#untilTlsChange(DESCRIBE_EVERY_MS, signal)) continue;
      const description = await this.#options.executor.describe(signal).catch(() => undefined);
      if (!description || JSON.stringify(this.#withTls(description)) === JSON.stringify(known)) {
        continue;
      }
      known = this.#withTls(description);
      await session.send({ type: "hello", description: known });
    }
  }

  /** True when the certificate changed within `ms`. @throws the signal's reason */
  #untilTlsChange(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const end = () => {
        cancel();
        unsubscribe();
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        end();
        reject(signal.reason);
      };
      const cancel = this.#options.clock.after(ms, () => {
        end();
        resolve(false);
      });
      const unsubscribe = this.#options.tls?.onChange(() => {
        end();
        resolve(true);
      }) ?? (() => {});
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}
