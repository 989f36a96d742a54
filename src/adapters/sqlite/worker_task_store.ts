import type { Task, TaskStatus } from "../../model/task.ts";
import { open, seal } from "../crypto/sealing.ts";
import { Database, removeDatabase } from "./database.ts";
import { WORKER_FORMAT } from "./schema.ts";
import type { WorkerSchema } from "./schema.ts";
import { damaged } from "./sqlite_error.ts";

/** A task that was assigned to this node, and the last state seen of it. */
export interface StoredTask {
  readonly task: Task;
  readonly status: TaskStatus | undefined;
}

/** The tasks of this node on disk, encrypted, so that a restarted agent adopts what runs. */
export class WorkerTaskStore {
  readonly #path: string;
  readonly #database: Database<WorkerSchema>;
  readonly #key: Uint8Array;
  readonly #put;
  readonly #remove;
  readonly #setStatus;

  /** Opens the table, or makes it on a node that has none yet. @throws FleetError corrupt, unavailable */
  static open(path: string, key: Uint8Array): WorkerTaskStore {
    if (!exists(path)) Database.create<WorkerSchema>(path, WORKER_FORMAT, () => {});
    return new WorkerTaskStore(path, Database.open<WorkerSchema>(path, WORKER_FORMAT), key);
  }

  /** Removes the table for good. */
  static remove(path: string): void {
    removeDatabase(path);
  }

  private constructor(path: string, database: Database<WorkerSchema>, key: Uint8Array) {
    this.#path = path;
    this.#database = database;
    this.#key = key;
    const { kysely: db } = database;
    const none = new Uint8Array(0);
    this.#put = database.prepare(
      db.insertInto("worker_task").values({ id: "", record: none, status: null })
        .onConflict((conflict) =>
          conflict.column("id").doUpdateSet((row) => ({ record: row.ref("excluded.record") }))
        ),
    );
    this.#remove = database.prepare(db.deleteFrom("worker_task").where("id", "=", ""));
    this.#setStatus = database.prepare(
      db.updateTable("worker_task").set({ status: none }).where("id", "=", ""),
    );
  }

  /** Every task, by id. @throws FleetError corrupt, naming the record that cannot be trusted */
  async list(): Promise<StoredTask[]> {
    const rows = await this.#database.kysely.selectFrom("worker_task").selectAll().orderBy("id")
      .execute();
    return rows.map(({ id, record, status }) => ({
      task: this.#open<Task>(record, taskPlace(id)),
      status: status === null ? undefined : this.#open<TaskStatus>(status, statusPlace(id)),
    }));
  }

  #open<T>(record: Uint8Array, place: string): T {
    try {
      return JSON.parse(new TextDecoder().decode(open(this.#key, record, place))) as T;
    } catch (error) {
      throw damaged(this.#path, (error as Error).message, error);
    }
  }

  #seal(value: Task | TaskStatus, place: string): Uint8Array {
    return seal(this.#key, new TextEncoder().encode(JSON.stringify(value)), place);
  }

  /** Stores or replaces tasks and drops others, in one transaction. @throws FleetError unavailable (disk full) */
  replace(put: readonly Task[], removed: readonly string[]): void {
    if (put.length === 0 && removed.length === 0) return;
    this.#database.transaction(() => {
      for (const task of put) this.#put.run(task.ID, this.#seal(task, taskPlace(task.ID)), null);
      for (const id of removed) this.#remove.run(id);
    });
  }

  /** Statuses of stored tasks, in one transaction; others are ignored. @throws as {@link replace} */
  setStatuses(updates: readonly { readonly id: string; readonly status: TaskStatus }[]): void {
    if (updates.length === 0) return;
    this.#database.transaction(() => {
      for (const { id, status } of updates) {
        this.#setStatus.run(this.#seal(status, statusPlace(id)), id);
      }
    });
  }

  close(): void {
    this.#database.close();
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function taskPlace(id: string): string {
  return `record of task ${id}`;
}

function statusPlace(id: string): string {
  return `status of task ${id}`;
}
