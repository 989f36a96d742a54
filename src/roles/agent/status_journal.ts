import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { TaskStatus } from "../../model/task.ts";
import type { TaskStore } from "./task_store.ts";

/** Statuses gather this long before they are written: a starting task passes five states in half a second. */
const GATHER_MS = 50;
/** A disk that refused is asked again this much later. */
const RETRY_MS = 5_000;

/**
 * Writes statuses behind the tasks' backs. They need not be on disk before the managers hear of them:
 * after a crash the container itself tells the state again, and a lower state than the managers know
 * does no harm.
 */
export class StatusJournal {
  readonly #store: TaskStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Not written yet, newest of each task; no larger than the node's number of tasks. */
  readonly #unwritten = new Map<string, TaskStatus>();
  #cancel: (() => void) | undefined;
  #failing = false;

  constructor(options: { store: TaskStore; clock: Clock; logger: Logger }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  put(id: string, status: TaskStatus): void {
    this.#unwritten.set(id, status);
    this.#cancel ??= this.#clock.after(GATHER_MS, () => this.flush());
  }

  /** The task is dropped: its status need not be written any more. */
  forget(id: string): void {
    this.#unwritten.delete(id);
  }

  /** Writes what has gathered. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#unwritten.size === 0) return;
    try {
      this.#store.setStatuses([...this.#unwritten].map(([id, status]) => ({ id, status })));
      this.#unwritten.clear();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        this.#logger.log("error", "task states cannot be stored", { error: messageOf(error) });
      }
      this.#failing = true;
      this.#cancel = this.#clock.after(RETRY_MS, () => this.flush());
    }
  }

  /** Writes what is left and ends. */
  close(): void {
    this.flush();
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
