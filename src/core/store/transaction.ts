import { FleetError } from "../../base/errors.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import type { Task } from "../../model/task.ts";
import { timeText } from "../../model/meta.ts";
import type { Change, View } from "../../model/view.ts";
import { uniqueName } from "./memory_store.ts";

/**
 * A View with changes on top that nobody else sees yet. It checks what the store will assert:
 * existence, unique names, and that an update was made from the newest version.
 *
 * Transactions nest: a batch is one transaction over the store, each writer in it one over the batch,
 * so that a writer that fails leaves no trace.
 */
export class Transaction implements View {
  readonly #base: View;
  readonly #nowMs: number;
  readonly #changes = new Map<string, Change>();
  readonly #touchedTasks = new Map<string, Task | undefined>();

  constructor(base: View, nowMs: number) {
    this.#base = base;
    this.#nowMs = nowMs;
  }

  get index(): number {
    return this.#base.index;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The changes in the order of first touch, one per object. */
  changes(): Change[] {
    return [...this.#changes.values()];
  }

  get size(): number {
    return this.#changes.size;
  }

  /** Keys (`table/id`) of all objects changed here. */
  keys(): Iterable<string> {
    return this.#changes.keys();
  }

  get<T extends TableName>(table: T, id: string): Objects[T] | undefined {
    const change = this.#changes.get(`${table}/${id}`);
    if (!change) return this.#base.get(table, id);
    return change.op === "remove" ? undefined : change.object as Objects[T];
  }

  *all<T extends TableName>(table: T): Iterable<Objects[T]> {
    for (const object of this.#base.all(table)) {
      const current = this.get(table, object.ID);
      if (current) yield current;
    }
    for (const change of this.#changes.values()) {
      if (change.op !== "remove" && change.table === table) {
        if (!this.#base.get(table, change.object.ID)) yield change.object as Objects[T];
      }
    }
  }

  count(table: TableName): number {
    let count = 0;
    for (const _ of this.all(table)) count++;
    return count;
  }

  byName<T extends TableName>(table: T, name: string): Objects[T] | undefined {
    const folded = name.toLowerCase();
    for (const change of this.#changes.values()) {
      if (change.op === "remove" || change.table !== table) continue;
      if (uniqueName(table, change.object) === folded) return change.object as Objects[T];
    }
    const found = this.#base.byName(table, name);
    return found && !this.#changes.has(`${table}/${found.ID}`) ? found : undefined;
  }

  *tasksOfService(serviceId: string): Iterable<Task> {
    yield* this.#tasks(this.#base.tasksOfService(serviceId), (t) => t.ServiceID === serviceId);
  }

  *tasksOfNode(nodeId: string): Iterable<Task> {
    yield* this.#tasks(this.#base.tasksOfNode(nodeId), (t) => t.NodeID === nodeId);
  }

  *#tasks(base: Iterable<Task>, belongs: (task: Task) => boolean): Iterable<Task> {
    for (const task of base) if (!this.#touchedTasks.has(task.ID)) yield task;
    for (const task of this.#touchedTasks.values()) if (task && belongs(task)) yield task;
  }

  /** @throws FleetError conflict when the id or the unique name is taken. */
  create<T extends TableName>(
    table: T,
    object: Omit<Objects[T], "Version" | "CreatedAt" | "UpdatedAt">,
  ): Objects[T] {
    if (this.get(table, object.ID)) {
      throw new FleetError("conflict", `${table} ${object.ID} already exists`);
    }
    const time = timeText(this.#nowMs);
    const { ID, ...rest } = object as unknown as Objects[TableName];
    const full = { ID, ...rest, Version: { Index: 0 }, CreatedAt: time, UpdatedAt: time };
    this.#checkName(table, full as unknown as Objects[T]);
    this.#record({ op: "create", table, object: full } as unknown as Change);
    return full as unknown as Objects[T];
  }

  /**
   * Replaces the object with the same id. `object.Version` must be the stored one.
   * @throws FleetError not-found, out-of-sequence (somebody else was first), conflict (name taken)
   */
  update<T extends TableName>(table: T, object: Objects[T]): Objects[T] {
    const current = this.get(table, object.ID);
    if (!current) throw new FleetError("not-found", `${table} ${object.ID} not found`);
    if (current.Version.Index !== object.Version.Index) {
      throw new FleetError("out-of-sequence", "update out of sequence");
    }
    const full = { ...object, CreatedAt: current.CreatedAt, UpdatedAt: timeText(this.#nowMs) };
    this.#checkName(table, full);
    const earlier = this.#changes.get(`${table}/${object.ID}`);
    const op = earlier?.op === "create" ? "create" : "update";
    this.#record({ op, table, object: full } as unknown as Change);
    return full;
  }

  /** @throws FleetError not-found */
  remove(table: TableName, id: string): void {
    if (!this.get(table, id)) throw new FleetError("not-found", `${table} ${id} not found`);
    const key = `${table}/${id}`;
    if (this.#changes.get(key)?.op === "create") this.#changes.delete(key);
    else this.#changes.set(key, { op: "remove", table, id });
    if (table === "task") this.#touchedTasks.set(id, undefined);
  }

  /** Performs one change that a decision proposed. */
  perform(change: Change): void {
    if (change.op === "remove") this.remove(change.table, change.id);
    else if (change.op === "create") this.create(change.table, change.object as Objects["task"]);
    else this.update(change.table, change.object as Objects["task"]);
  }

  /** Takes over the changes of a nested transaction that succeeded. */
  absorb(nested: Transaction): void {
    for (const change of nested.changes()) {
      const id = change.op === "remove" ? change.id : change.object.ID;
      const key = `${change.table}/${id}`;
      const created = this.#changes.get(key)?.op === "create";
      if (created && change.op === "remove") {
        this.#changes.delete(key);
        if (change.table === "task") this.#touchedTasks.set(id, undefined);
      } else if (created && change.op === "update") {
        this.#record({ ...change, op: "create" } as Change);
      } else this.#record(change);
    }
  }

  #record(change: Change): void {
    const id = change.op === "remove" ? change.id : change.object.ID;
    this.#changes.set(`${change.table}/${id}`, change);
    if (change.table === "task") {
      this.#touchedTasks.set(id, change.op === "remove" ? undefined : change.object as Task);
    }
  }

  #checkName(table: TableName, object: Objects[TableName]): void {
    const name = uniqueName(table, object);
    if (name === undefined) return;
    const holder = this.byName(table, name);
    if (holder && holder.ID !== object.ID) {
      throw new FleetError(
        "conflict",
        `name conflicts with an existing object: ${table} ${name} already exists`,
      );
    }
  }
}
