import { open, seal } from "../crypto/sealing.ts";
import { guarded, openDatabase } from "./database.ts";
import type { Database } from "./database.ts";
import type { Task, TaskStatus } from "../../model/task.ts";

/** A task that was assigned to this node, and the last state seen of it. */
export interface StoredTask {
  readonly task: Task;
  readonly status: TaskStatus | undefined;
}

/** The tasks of this node on disk, so that a restarted agent adopts what runs. Specs are encrypted. */
export class WorkerTaskStore {
  readonly #path: string;
  readonly #database: Database;
  readonly #key: Uint8Array;

  static open(path: string, key: Uint8Array): WorkerTaskStore {
    return new WorkerTaskStore(path, openDatabase(path), key);
  }

  private constructor(path: string, database: Database, key: Uint8Array) {
    this.#path = path;
    this.#database = database;
    this.#key = key;
  }

  async list(): Promise<StoredTask[]> {
    const rows = await this.#database.kysely.selectFrom("worker_task").selectAll().orderBy("id")
      .execute();
    return rows.map(({ id, record, status }) => ({
      task: JSON.parse(new TextDecoder().decode(open(this.#key, record, taskContext(id)))) as Task,
      status: status === null ? undefined : JSON.parse(status) as TaskStatus,
    }));
  }

  /** Stores or replaces tasks and drops others, in one transaction. @throws FleetError unavailable (disk full) */
  replace(put: readonly Task[], removed: readonly string[]): void {
    if (put.length === 0 && removed.length === 0) return;
    this.#transaction((raw) => {
      const insert = raw.prepare(
        "INSERT INTO worker_task (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
      );
      const remove = raw.prepare("DELETE FROM worker_task WHERE id = ?");
      for (const task of put) {
        const bytes = new TextEncoder().encode(JSON.stringify(task));
        insert.run(task.ID, seal(this.#key, bytes, taskContext(task.ID)));
      }
      for (const id of removed) remove.run(id);
    });
  }

  /** Statuses of stored tasks, in one transaction; others are ignored. @throws as {@link replace} */
  setStatuses(updates: readonly { readonly id: string; readonly status: TaskStatus }[]): void {
    if (updates.length === 0) return;
    this.#transaction((raw) => {
      const update = raw.prepare("UPDATE worker_task SET status = ? WHERE id = ?");
      for (const { id, status } of updates) update.run(JSON.stringify(status), id);
    });
  }

  #transaction(write: (raw: Database["raw"]) => void): void {
    guarded(this.#path, () => {
      const { raw } = this.#database;
      raw.exec("BEGIN IMMEDIATE");
      try {
        write(raw);
        raw.exec("COMMIT");
      } catch (error) {
        try {
          raw.exec("ROLLBACK");
        } catch {
          // SQLite has rolled back by itself on a full disk.
        }
        throw error;
      }
    });
  }

  close(): void {
    this.#database.close();
  }
}

function taskContext(id: string): string {
  return `record of task ${id}`;
}
