import { assert } from "../../base/assert.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import { TABLES } from "../../model/objects.ts";
import type { Task } from "../../model/task.ts";
import type { Applied, Change, View } from "../../model/view.ts";
import { SharedParts } from "./shared_parts.ts";

type Tables = { [T in TableName]: Map<string, Objects[T]> };

/** Tables whose objects have a name that is unique in the cluster. */
const NAMED: ReadonlySet<TableName> = new Set([
  "service",
  "network",
  "secret",
  "config",
  "cluster",
]);

/** The unique name of an object, folded for comparison, or undefined where names may repeat. */
export function uniqueName(table: TableName, object: Objects[TableName]): string | undefined {
  if (!NAMED.has(table)) return undefined;
  return (object as Objects["service"]).Spec.Name?.toLowerCase();
}

/**
 * The replicated tables in memory. Objects are never changed in place, so a reader may keep what it
 * got. Only {@link apply} writes, in log order, the same bytes on every replica.
 */
export class MemoryStore implements View {
  #index = 0;
  readonly #tables: Tables;
  readonly #names = new Map<string, string>();
  readonly #tasksByService = new Map<string, Map<string, Task>>();
  readonly #tasksByNode = new Map<string, Map<string, Task>>();
  readonly #shared = new SharedParts();
  readonly #listeners = new Set<(changes: readonly Applied[], index: number) => void>();

  constructor() {
    this.#tables = Object.fromEntries(TABLES.map((table) => [table, new Map()])) as Tables;
  }

  get index(): number {
    return this.#index;
  }

  get<T extends TableName>(table: T, id: string): Objects[T] | undefined {
    return this.#tables[table].get(id);
  }

  all<T extends TableName>(table: T): Iterable<Objects[T]> {
    return this.#tables[table].values();
  }

  count(table: TableName): number {
    return this.#tables[table].size;
  }

  byName<T extends TableName>(table: T, name: string): Objects[T] | undefined {
    const id = this.#names.get(`${table}/${name.toLowerCase()}`);
    return id === undefined ? undefined : this.get(table, id);
  }

  tasksOfService(serviceId: string): Iterable<Task> {
    return this.#tasksByService.get(serviceId)?.values() ?? [];
  }

  tasksOfNode(nodeId: string): Iterable<Task> {
    return this.#tasksByNode.get(nodeId)?.values() ?? [];
  }

  /**
   * Applies one committed entry. The changes were checked when they were proposed, so a change that
   * does not fit is a broken invariant.
   */
  apply(index: number, changes: readonly Change[]): void {
    assert(index > this.#index, `entry ${index} applied after ${this.#index}`);
    this.#index = index;
    const applied = changes.map((change) => this.#applyOne(change, index));
    for (const listener of this.#listeners) listener(applied, index);
  }

  /** Notes that an entry without changes was applied. */
  advance(index: number): void {
    this.#index = Math.max(this.#index, index);
  }

  #applyOne(change: Change, index: number): Applied {
    if (change.op === "remove") {
      const object = this.get(change.table, change.id);
      assert(object, `removal of unknown ${change.table} ${change.id}`);
      this.#unlink(change.table, object);
      return { op: "remove", table: change.table, object };
    }
    const given = { ...change.object, Version: { Index: index } } as Objects[TableName];
    const previous = this.get(change.table, given.ID);
    assert(
      (previous === undefined) === (change.op === "create"),
      `${change.op} of ${change.table} ${given.ID} that ${previous ? "exists" : "does not exist"}`,
    );
    if (previous) this.#unlink(change.table, previous, given);
    const object = this.#link(change.table, given);
    return previous
      ? { op: "update", table: change.table, object, previous }
      : { op: "create", table: change.table, object };
  }

  #link(table: TableName, given: Objects[TableName]): Objects[TableName] {
    const object = table === "task" ? this.#shared.share(given as Task) : given;
    (this.#tables[table] as Map<string, unknown>).set(object.ID, object);
    const name = uniqueName(table, object);
    if (name) this.#names.set(`${table}/${name}`, object.ID);
    if (table !== "task") return object;
    const task = object as Task;
    if (task.ServiceID) put(this.#tasksByService, task.ServiceID, task);
    if (task.NodeID) put(this.#tasksByNode, task.NodeID, task);
    return object;
  }

  /** Removes `object` from the indexes; from its table only when nothing takes its place. */
  #unlink(table: TableName, object: Objects[TableName], successor?: Objects[TableName]): void {
    if (!successor) this.#tables[table].delete(object.ID);
    const name = uniqueName(table, object);
    if (name && this.#names.get(`${table}/${name}`) === object.ID) {
      this.#names.delete(`${table}/${name}`);
    }
    if (table !== "task") return;
    const task = object as Task;
    const next = successor as Task | undefined;
    if (task.ServiceID && task.ServiceID !== next?.ServiceID) {
      drop(this.#tasksByService, task.ServiceID, task);
    }
    if (task.NodeID && task.NodeID !== next?.NodeID) drop(this.#tasksByNode, task.NodeID, task);
  }

  /** Calls `listener` after every applied entry; the returned function ends it. */
  onApply(listener: (changes: readonly Applied[], index: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All objects by table, as of now; cheap, since objects are shared. */
  capture(): { index: number; tables: { [T in TableName]: Objects[T][] } } {
    const tables = Object.fromEntries(
      TABLES.map((table) => [table, [...this.#tables[table].values()]]),
    ) as { [T in TableName]: Objects[T][] };
    return { index: this.#index, tables };
  }

  /** Replaces everything by a captured state. Watchers see the difference as removes and creates. */
  restore(index: number, tables: { [T in TableName]: readonly Objects[T][] }): void {
    const applied: Applied[] = [];
    for (const table of TABLES) {
      for (const object of [...this.#tables[table].values()]) {
        this.#unlink(table, object);
        applied.push({ op: "remove", table, object });
      }
      for (const given of tables[table]) {
        const object = this.#link(table, given);
        applied.push({ op: "create", table, object });
      }
    }
    this.#index = index;
    for (const listener of this.#listeners) listener(applied, index);
  }
}

function put(index: Map<string, Map<string, Task>>, key: string, task: Task): void {
  const tasks = index.get(key);
  if (tasks) tasks.set(task.ID, task);
  else index.set(key, new Map([[task.ID, task]]));
}

function drop(index: Map<string, Map<string, Task>>, key: string, task: Task): void {
  const tasks = index.get(key);
  tasks?.delete(task.ID);
  if (tasks?.size === 0) index.delete(key);
}
