import { must } from "../../base/assert.ts";
import { timeText } from "../../model/meta.ts";
import type { Service } from "../../model/service.ts";
import { compareStates } from "../../model/task_state.ts";
import type { TaskState } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import { assertTransition } from "../../model/task_transitions.ts";
import type { Change } from "../../model/view.ts";
import { outcomeOf } from "./outcome.ts";
import type { Outcome, Situation } from "./outcome.ts";

/**
 * One service and its tasks as they will be when this look's changes are stored. The steps of a decision
 * work on it one after the other, each seeing what the earlier ones planned; every object ends up in at
 * most one change.
 */
export class Draft {
  readonly situation: Situation;
  readonly #stored = new Map<string, Task>();
  readonly #planned = new Map<string, Task>();
  /** Ids in the order of first touch, so that what belongs together is stored together. */
  readonly #touched = new Set<string>();
  #service: Service | undefined;
  #serviceChanged = false;
  #wakeAtMs = Infinity;

  constructor(situation: Situation, serviceId: string) {
    this.situation = situation;
    this.#service = situation.view.get("service", serviceId);
    for (const task of situation.view.tasksOfService(serviceId)) {
      this.#stored.set(task.ID, task);
      this.#planned.set(task.ID, task);
    }
  }

  get nowMs(): number {
    return this.situation.nowMs;
  }

  get service(): Service {
    return must(this.#service, "service of a draft");
  }

  tasks(): Iterable<Task> {
    return this.#planned.values();
  }

  /** The task as planned so far. */
  current(task: Task): Task {
    return this.#planned.get(task.ID) ?? task;
  }

  /** Whether the task exists in the store already. */
  isStored(task: Task): boolean {
    return this.#stored.has(task.ID);
  }

  create(task: Task): Task {
    assertTransition("orchestrator", undefined, task);
    this.#planned.set(task.ID, task);
    this.#touched.add(task.ID);
    return task;
  }

  /**
   * Raises a task's desired state; nothing happens when it is that high already. A task that exists in
   * the draft only is forgotten when it shall not run after all.
   */
  raise(task: Task, desired: TaskState): Task {
    const current = must(this.#planned.get(task.ID), `task ${task.ID} in the draft`);
    if (compareStates(current.DesiredState, desired) >= 0) return current;
    if (!this.isStored(task) && compareStates(desired, "complete") > 0) {
      this.#planned.delete(task.ID);
      this.#touched.delete(task.ID);
      return { ...current, DesiredState: desired };
    }
    const next: Task = { ...current, DesiredState: desired, UpdatedAt: timeText(this.nowMs) };
    const stored = this.#stored.get(task.ID);
    if (stored) assertTransition("orchestrator", stored, next);
    this.#planned.set(task.ID, next);
    this.#touched.add(task.ID);
    return next;
  }

  changeService(service: Service): void {
    this.#service = service;
    this.#serviceChanged = true;
  }

  wakeAt(ms: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs, ms);
  }

  /** The service first: a new status must not be younger than the tasks it speaks of. */
  outcome(): Outcome {
    const changes: Change[] = [];
    if (this.#serviceChanged) {
      changes.push({ op: "update", table: "service", object: this.service });
    }
    for (const id of this.#touched) {
      const object = must(this.#planned.get(id), `task ${id} in the draft`);
      changes.push({ op: this.#stored.has(id) ? "update" : "create", table: "task", object });
    }
    return outcomeOf(changes, this.#wakeAtMs);
  }
}
