import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Executor } from "../../core/task/controller.ts";
import { timeText } from "../../model/meta.ts";
import type { Assignments } from "../../model/session.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import type { TaskStore } from "./task_store.ts";
import { TaskManager } from "./task_manager.ts";

export interface WorkerOptions {
  readonly executor: Executor;
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A task's state changed; called with the newest status. */
  readonly onStatus: (taskId: string, status: TaskStatus) => void;
}

/** A secret or config that tasks here reference. */
export interface Dependency {
  readonly name: string;
  readonly data: string;
}

/** Keeps the node's tasks as the managers assigned them, across restarts of the agent. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #managers = new Map<string, TaskManager>();
  readonly #removals = new Map<string, Promise<void>>();
  readonly #secrets = new Map<string, Dependency>();
  readonly #configs = new Map<string, Dependency>();
  readonly #stop = new AbortController();
  #applied = -1;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  secret(id: string): Dependency | undefined {
    return this.#secrets.get(id);
  }

  config(id: string): Dependency | undefined {
    return this.#configs.get(id);
  }

  /** Takes up what an earlier agent left: running containers are adopted, not started again. */
  async start(): Promise<void> {
    for (const { task, status } of await this.#options.store.list()) {
      if (status && isTerminal(status.State)) {
        this.#start(task, status);
      } else this.#start(task, status ?? assigned(task));
    }
  }

  /** Every task with its newest status. */
  tasks(): { task: Task; status: TaskStatus }[] {
    return [...this.#managers.values()].map(({ task, status }) => ({ task, status }));
  }

  /**
   * Applies a set or a difference. False when it does not follow what was applied last: the session has
   * to be opened anew.
   */
  apply(assignments: Assignments): boolean {
    if (assignments.kind === "incremental" && assignments.appliesTo !== this.#applied) return false;
    const tasks: Task[] = [];
    for (const item of assignments.update) {
      if (item.kind === "task") tasks.push(item.task);
      else {(item.kind === "secret" ? this.#secrets : this.#configs).set(item.id, {
          name: item.name,
          data: item.data,
        });}
    }
    const removed = assignments.remove.filter(({ kind }) => kind === "task").map(({ id }) => id);
    if (assignments.kind === "complete") {
      const kept = new Set(tasks.map(({ ID }) => ID));
      removed.push(...[...this.#managers.keys()].filter((id) => !kept.has(id)));
      this.#keepOnly(assignments);
    }
    this.#applyTasks(tasks, removed);
    for (const { kind, id } of assignments.remove) {
      if (kind === "secret") this.#secrets.delete(id);
      if (kind === "config") this.#configs.delete(id);
    }
    this.#applied = assignments.resultsIn;
    return true;
  }

  #keepOnly({ update }: Assignments): void {
    for (const [kind, held] of [["secret", this.#secrets], ["config", this.#configs]] as const) {
      const kept = new Set(update.filter((item) => item.kind === kind).map(({ id }) => id));
      for (const id of held.keys()) if (!kept.has(id)) held.delete(id);
    }
  }

  #applyTasks(tasks: readonly Task[], removed: readonly string[]): void {
    const { store, logger } = this.#options;
    try {
      store.replace(tasks, removed);
    } catch (error) {
      logger.log("error", "assignments refused: they cannot be stored", {
        error: messageOf(error),
      });
      for (const task of tasks) {
        if (!this.#managers.has(task.ID)) this.#reject(task, messageOf(error));
      }
      return;
    }
    for (const id of removed) this.#remove(id);
    for (const task of tasks) {
      const manager = this.#managers.get(task.ID);
      if (manager) manager.update(task);
      else this.#start(task, isTerminal(task.Status.State) ? task.Status : assigned(task));
    }
  }

  #start(task: Task, status: TaskStatus): void {
    const { executor, clock, logger, store, onStatus } = this.#options;
    if (this.#removals.has(task.ID)) return;
    this.#managers.set(
      task.ID,
      new TaskManager(task, status, {
        controller: executor.controller(task),
        clock,
        logger: logger.with({
          task: task.ID,
          ...(task.ServiceID ? { service: task.ServiceID } : {}),
        }),
        onStatus: (next) => {
          try {
            store.setStatus(task.ID, next);
          } catch (error) {
            // The managers still hear of it; after a restart the container tells its state again.
            logger.log("warn", "a task's state cannot be stored", {
              task: task.ID,
              error: messageOf(error),
            });
          }
          onStatus(task.ID, next);
        },
      }),
    );
  }

  /** A task that this node cannot take; it fails here, so that it is tried elsewhere. */
  #reject(task: Task, sentence: string): void {
    this.#options.onStatus(task.ID, {
      State: "rejected",
      Timestamp: timeText(this.#options.clock.now()),
      Message: "preparing",
      Err: sentence,
    });
  }

  #remove(id: string): void {
    const manager = this.#managers.get(id);
    this.#managers.delete(id);
    if (!manager || this.#removals.has(id)) return;
    const removal = manager.remove(this.#stop.signal).catch(() => {}).finally(() =>
      this.#removals.delete(id)
    );
    this.#removals.set(id, removal);
  }

  /** Removes containers of this node that belong to no task any more. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { executor, logger } = this.#options;
    for (const id of await executor.taskIds(signal)) {
      if (this.#managers.has(id) || this.#removals.has(id)) continue;
      logger.log("info", "removing a container whose task is gone", { task: id });
      await executor.removeUnknown(id, signal);
    }
  }

  /** Ends the driving of all tasks; containers go on. */
  async close(): Promise<void> {
    this.#stop.abort(new DOMException("the agent stops", "AbortError"));
    await Promise.all([...this.#managers.values()].map((manager) => manager.close()));
    await Promise.all(this.#removals.values());
  }

  /** Removes every task of this node; for leaving the cluster. */
  async removeAll(signal: AbortSignal): Promise<void> {
    const managers = [...this.#managers.values()];
    this.#managers.clear();
    await Promise.all(managers.map((manager) => manager.remove(signal)));
    this.#options.store.replace([], managers.map(({ task }) => task.ID));
    for (const id of await this.#options.executor.taskIds(signal)) {
      await this.#options.executor.removeUnknown(id, signal);
    }
  }
}

/** Where an assigned task begins on this node. */
function assigned(task: Task): TaskStatus {
  return { ...task.Status, State: "assigned" };
}
