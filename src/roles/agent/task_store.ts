import type { Task, TaskStatus } from "../../model/task.ts";

export interface StoredTask {
  readonly task: Task;
  /** Undefined until the node said something about it. */
  readonly status: TaskStatus | undefined;
}

/** The node's tasks on disk; `src/adapters/sqlite` implements it, {@link MemoryTaskStore} is its twin. */
export interface TaskStore {
  list(): Promise<readonly StoredTask[]>;
  /** Stores or replaces and drops tasks, all or nothing. @throws FleetError unavailable when the disk is full */
  replace(put: readonly Task[], removed: readonly string[]): void;
  /** Statuses of stored tasks, all or nothing; others are ignored. @throws as {@link replace} */
  setStatuses(updates: readonly { readonly id: string; readonly status: TaskStatus }[]): void;
}

/** Keeps tasks as long as the process: for tests and simulation. */
export class MemoryTaskStore implements TaskStore {
  readonly #tasks = new Map<string, StoredTask>();
  /** Thrown by every write while set: a full disk. */
  failure: Error | undefined;

  async list(): Promise<readonly StoredTask[]> {
    return [...this.#tasks.values()].sort((a, b) => a.task.ID < b.task.ID ? -1 : 1);
  }

  replace(put: readonly Task[], removed: readonly string[]): void {
    if (this.failure) throw this.failure;
    for (const task of put) {
      this.#tasks.set(task.ID, { task, status: this.#tasks.get(task.ID)?.status });
    }
    for (const id of removed) this.#tasks.delete(id);
  }

  setStatuses(updates: readonly { readonly id: string; readonly status: TaskStatus }[]): void {
    if (this.failure) throw this.failure;
    for (const { id, status } of updates) {
      const stored = this.#tasks.get(id);
      if (stored) this.#tasks.set(id, { task: stored.task, status });
    }
  }
}
