import type { Task, TaskStatus } from "../../model/task.ts";
import { recordKeys } from "../crypto/record_keys.ts";
import type { RecordKeys } from "../crypto/record_keys.ts";
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
  readonly #keys: RecordKeys;
  readonly #put;
  readonly #remove;
  readonly #setStatus;
  readonly #select;
  readonly #reseal;
  #closed = false;

  /** Opens the table, or makes it on a node that has none yet. @throws FleetError corrupt, unavailable */
  static open(path: string, key: RecordKeys | Uint8Array): WorkerTaskStore {
    if (!exists(path)) Database.create<WorkerSchema>(path, WORKER_FORMAT, () => {});
    return new WorkerTaskStore(
      path,
      Database.open<WorkerSchema>(path, WORKER_FORMAT),
      recordKeys(key),
    );
  }

  /** Removes the table for good. */
  static remove(path: string): void {
    removeDatabase(path);
  }

  private constructor(path: string, database: Database<WorkerSchema>, keys: RecordKeys) {
    this.#path = path;
    this.#database = database;
    this.#keys = keys;
    const { kysely: db } = database;
    const none = new Uint8Array(0);
    this.#put = database.prepare(
      db.insertInto("worker_task").values({ id: "", record: none, status: null })
        .onConflict((conflict) =>
          conflict.column("id").doUpdateSet((row) => ({ record: row.ref("excluded.record") }))
        ),
    );
    this.#remove = database.prepare(db.deleteFrom("worker_task").where("id", "=", ""));
    this.#select = database.prepare(db.selectFrom("worker_task").selectAll());
    this.#reseal = database.prepare(
      db.updateTable("worker_task").set({ record: none, status: none }).where("id", "=", ""),
    );
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
      return JSON.parse(new TextDecoder().decode(this.#keys.open(record, place))) as T;
    } catch (error) {
      throw damaged(this.#path, (error as Error).message, error);
    }
  }

  #seal(value: Task | TaskStatus, place: string): Uint8Array {
    return this.#keys.seal(new TextEncoder().encode(JSON.stringify(value)), place);
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

  /** Seals every record under the current key. False when the table is closed. @throws as {@link replace} */
  reseal(): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    const anew = (record: Uint8Array, place: string) =>
      this.#keys.seal(this.#keys.open(record, place), place);
    this.#database.transaction(() => {
      for (const row of this.#select.all()) {
        const { id, record, status } = row as unknown as WorkerSchema["worker_task"];
        const [task, state] = [taskPlace(id), statusPlace(id)];
        this.#reseal.run(anew(record, task), status === null ? null : anew(status, state), id);
      }
    });
    return Promise.resolve(true);
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
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
