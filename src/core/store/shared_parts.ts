import type { Task } from "../../model/task.ts";

/** Services whose newest parts are kept; beyond it all are forgotten, which costs memory only. */
const MAX_SERVICES = 10_000;
/** What the tasks of one version of a service have in common. */
const PARTS = ["Spec", "ServiceAnnotations", "Networks"] as const;

/**
 * Lets the tasks of a service share what is equal in them. Every task carries its whole spec, decoded from its
 * own entry: with many tasks that is most of a manager's memory. Objects in the store are never changed in
 * place, so nobody can tell.
 */
export class SharedParts {
  readonly #newest = new Map<string, { readonly text: string; readonly value: unknown }>();

  /** The task itself, or one that is equal to it. */
  share(task: Task): Task {
    if (!task.ServiceID) return task;
    let shared: Record<string, unknown> | undefined;
    for (const part of PARTS) {
      const own = (task as unknown as Record<string, unknown>)[part];
      if (typeof own !== "object" || own === null) continue;
      const value = this.#value(`${task.ServiceID}/${part}`, own);
      if (value !== own) (shared ??= { ...task } as Record<string, unknown>)[part] = value;
    }
    return (shared ?? task) as unknown as Task;
  }

  #value(key: string, own: unknown): unknown {
    const text = JSON.stringify(own);
    const newest = this.#newest.get(key);
    if (newest?.text === text) return newest.value;
    if (this.#newest.size >= MAX_SERVICES * PARTS.length) this.#newest.clear();
    this.#newest.set(key, { text, value: own });
    return own;
  }
}
