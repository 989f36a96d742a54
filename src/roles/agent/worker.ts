import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Executor } from "../../core/task/controller.ts";
import { timeText } from "../../model/meta.ts";
import type { Assignments } from "../../model/session.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { TaskState } from "../../model/task_state.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import { Dependencies } from "./dependencies.ts";
import type { Dependency } from "./dependencies.ts";
import { StatusJournal } from "./status_journal.ts";
import { TaskManager } from "./task_manager.ts";
import type { TaskStore } from "./task_store.ts";

export interface WorkerOptions {
  readonly executor: Executor;
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A task's state changed; called with the newest status. */
  readonly onStatus: (taskId: string, status: TaskStatus) => void;
  /** Waits until a task that runs may be stopped. */
  readonly drain?: (task: Task, status: TaskStatus, signal: AbortSignal) => Promise<void>;
}

/** A task on this node and the container that it is, for the API of this node. */
export interface LocalTask {
  readonly taskId: string;
  readonly serviceId: string | undefined;
  readonly containerId: string | undefined;
  readonly state: TaskState;
}

/** Keeps the node's tasks as the managers assigned them, across restarts of the agent. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #journal: StatusJournal;
  readonly #dependencies = new Dependencies();
  readonly #managers = new Map<string, TaskManager>();
  /** Tasks whose remains are being removed; nothing of them may start again before that is done. */
  readonly #removals = new Map<string, Promise<void>>();
  /** Taken away and given back, as when leaders change: begin when their removal is done. */
  readonly #returning = new Map<string, Task>();
  /** Taken away while the disk was full: their rows go with the next write. */
  readonly #rowsLeft = new Set<string>();
  readonly #stop = new AbortController();
  /** `resultsIn` of what was applied last. */
  #applied = -1;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#journal = new StatusJournal(options);
  }

  /** @throws TemporaryError before the managers sent anything */
  secret(id: string): Dependency | undefined {
    return this.#dependencies.get("secret", id);
  }

  /** @throws TemporaryError before the managers sent anything */
  config(id: string): Dependency | undefined {
    return this.#dependencies.get("config", id);
  }

  /** Takes up what an earlier agent left: running containers are adopted, not started again. */
  async start(): Promise<void> {
    for (const { task, status } of await this.#options.store.list()) {
      this.#start(task, status ?? beginning(task));
    }
  }

  /** Every task with its newest status. */
  tasks(): { task: Task; status: TaskStatus }[] {
    return [...this.#managers.values()].map(({ task, status }) => ({ task, status }));
  }

  localTasks(): LocalTask[] {
    return this.tasks().map(({ task, status }) => ({
      taskId: task.ID,
      serviceId: task.ServiceID,
      containerId: status.ContainerStatus?.ContainerID,
      state: status.State,
    }));
  }

  /**
   * Applies a set or a difference. False when it does not follow what was applied last: the session has
   * to be opened anew.
   */
  apply(assignments: Assignments): boolean {
    if (assignments.kind === "incremental" && assignments.appliesTo !== this.#applied) return false;
    const tasks = assignments.update.flatMap((item) => item.kind === "task" ? [item.task] : []);
    const removed = assignments.remove.filter(({ kind }) => kind === "task").map(({ id }) => id);
    if (assignments.kind === "complete") {
      const kept = new Set(tasks.map(({ ID }) => ID));
      const known = [...this.#managers.keys(), ...this.#returning.keys()];
      removed.push(...known.filter((id) => !kept.has(id)));
    }
    this.#dependencies.apply(assignments);
    this.#applyTasks(tasks, removed);
    this.#applied = assignments.resultsIn;
    return true;
  }

  #applyTasks(tasks: readonly Task[], removed: readonly string[]): void {
    const { store, logger } = this.#options;
    let refusal: string | undefined;
    for (const id of removed) this.#rowsLeft.add(id);
    for (const { ID } of tasks) this.#rowsLeft.delete(ID);
    try {
      store.replace(tasks, [...this.#rowsLeft]);
      this.#rowsLeft.clear();
    } catch (error) {
      refusal = messageOf(error);
      logger.log("error", "new tasks are refused: they cannot be stored", { error: refusal });
    }
    // What is known is stopped, started and removed as asked even then: that needs no disk.
    for (const id of removed) this.#remove(id);
    for (const task of tasks) {
      const manager = this.#managers.get(task.ID);
      if (manager) manager.update(task);
      else if (this.#removals.has(task.ID)) this.#returning.set(task.ID, task);
      else if (refusal === undefined) this.#start(task, beginning(task));
      else if (!isTerminal(task.Status.State)) this.#reject(task, refusal);
    }
  }

  #start(task: Task, status: TaskStatus): void {
    const { executor, clock, logger, onStatus, drain } = this.#options;
    const fields = { task: task.ID, ...(task.ServiceID ? { service: task.ServiceID } : {}) };
    this.#managers.set(
      task.ID,
      new TaskManager(task, status, {
        controller: executor.controller(task),
        clock,
        logger: logger.with(fields),
        ...(drain ? { drain } : {}),
        onStatus: (next) => {
          if (next.Err !== undefined) {
            logger.log("info", "task did not succeed", {
              ...fields,
              state: next.State,
              error: next.Err,
            });
          }
          this.#journal.put(task.ID, next);
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
    this.#returning.delete(id);
    this.#journal.forget(id);
    if (!manager) return;
    const removal = manager.remove(this.#stop.signal).catch(() => {}).then(() => {
      this.#removals.delete(id);
      const task = this.#returning.get(id);
      this.#returning.delete(id);
      if (task && !this.#stop.signal.aborted) this.#start(task, beginning(task));
    });
    this.#removals.set(id, removal);
  }

  /** Removes containers of this node that belong to no task any more. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { executor, logger } = this.#options;
    const known = (id: string) => this.#managers.has(id) || this.#removals.has(id);
    for (const id of await executor.taskIds(signal)) {
      // Looked at again for each: tasks arrive while this goes on.
      if (known(id)) continue;
      logger.log("info", "removing a container whose task is gone", { task: id });
      await executor.removeUnknown(id, signal);
    }
  }

  /** Ends the driving of all tasks; containers go on. */
  async close(): Promise<void> {
    this.#stop.abort(new DOMException("the agent stops", "AbortError"));
    await Promise.all([...this.#managers.values()].map((manager) => manager.close()));
    await Promise.all(this.#removals.values());
    this.#journal.close();
  }

  /** Removes every task of this node; for leaving the cluster. */
  async removeAll(signal: AbortSignal): Promise<void> {
    const managers = [...this.#managers.values()];
    this.#managers.clear();
    await Promise.all(managers.map((manager) => manager.remove(signal)));
    this.#options.store.replace([], managers.map(({ task }) => task.ID));
    await this.sweep(signal);
  }
}

/** Where a task begins on this node: what is over is over, all else is found out here. */
function beginning(task: Task): TaskStatus {
  return isTerminal(task.Status.State) ? task.Status : { ...task.Status, State: "assigned" };
}
