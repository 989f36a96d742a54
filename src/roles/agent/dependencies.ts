import { TemporaryError } from "../../core/task/controller.ts";
import type { Assignments } from "../../model/session.ts";

/** A secret or config that tasks here reference; data is base64. */
export interface Dependency {
  readonly name: string;
  readonly data: string;
  /** The data is a template, expanded for each task. */
  readonly template?: true;
}

type Kind = "secret" | "config";

/** Secrets and configs of the node's tasks, in memory only. */
export class Dependencies {
  readonly #held: Readonly<Record<Kind, Map<string, Dependency>>> = {
    secret: new Map(),
    config: new Map(),
  };
  #complete = false;

  /**
   * Undefined when the managers did not send it.
   * @throws TemporaryError before they sent anything: a restarted agent has only its tasks
   */
  get(kind: Kind, id: string): Dependency | undefined {
    const found = this.#held[kind].get(id);
    if (!found && !this.#complete) {
      throw new TemporaryError(`${kind} ${id} has not arrived: no session with the managers yet`);
    }
    return found;
  }

  apply({ kind, update, remove }: Assignments): void {
    if (kind === "complete") {
      for (const held of Object.values(this.#held)) held.clear();
      this.#complete = true;
    }
    for (const item of update) {
      if (item.kind === "secret" || item.kind === "config") {
        this.#held[item.kind].set(item.id, item);
      }
    }
    for (const { kind: what, id } of remove) {
      if (what === "secret" || what === "config") this.#held[what].delete(id);
    }
  }
}
