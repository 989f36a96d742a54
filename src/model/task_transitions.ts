import { assert } from "../base/assert.ts";
import { compareStates, isTerminal } from "./task_state.ts";
import type { TaskState } from "./task_state.ts";
import type { Task } from "./task.ts";

/**
 * Who changes tasks. Every part of the manager writes through {@link assertTransition}, so this table is
 * the whole truth about a task's life:
 *
 * | actor | observed state | desired state |
 * |---|---|---|
 * | orchestrator | creates in `new` or `pending`, changes none | creates with `ready`, `running` or `complete`; only raises it |
 * | allocator | `new` → `pending` | – |
 * | scheduler | `pending` → `assigned` (with a node); `pending` → `shutdown` when nobody wants it any more | – |
 * | agent | anything from `assigned` on → any later state but `orphaned` | – |
 * | enforcer | `assigned` … `running` → `rejected` | – |
 * | dispatcher | `assigned` … `running` → `orphaned`, its node being down too long | – |
 * | control | any that is not final → `orphaned`, its node being removed | – |
 *
 * Removing a task is the reaper's right alone. An observed state never goes back, and a final one (all
 * after `running`) is left only for the agent's later word on the same task.
 */
export type TaskActor =
  | "orchestrator"
  | "allocator"
  | "scheduler"
  | "agent"
  | "enforcer"
  | "dispatcher"
  | "control";

const FIRST_STATES: readonly TaskState[] = ["new", "pending"];
const DESIRED_STATES: readonly TaskState[] = ["ready", "running", "complete", "shutdown", "remove"];

/** Which later observed states an actor may set, given where the task is. */
const MAY_SET: Readonly<Record<TaskActor, (from: TaskState, to: TaskState) => boolean>> = {
  orchestrator: () => false,
  allocator: (from, to) => from === "new" && to === "pending",
  scheduler: (from, to) => from === "pending" && (to === "assigned" || to === "shutdown"),
  agent: (from, to) => compareStates(from, "assigned") >= 0 && to !== "orphaned" && to !== "remove",
  enforcer: (from, to) => isOnNode(from) && to === "rejected",
  dispatcher: (from, to) => isOnNode(from) && to === "orphaned",
  control: (from, to) => !isTerminal(from) && to === "orphaned",
};

/** Whether a task in this state is its node's: handed over and not ended. */
export function isOnNode(state: TaskState): boolean {
  return compareStates(state, "assigned") >= 0 && !isTerminal(state);
}

/** Whether `actor` may move a task's observed state; staying where it is concerns nobody. */
export function mayMove(actor: TaskActor, from: TaskState, to: TaskState): boolean {
  if (from === to) return true;
  return compareStates(from, to) < 0 && MAY_SET[actor](from, to);
}

/** Asserts that `actor` may turn `before` (undefined for a new task) into `after`. */
export function assertTransition(actor: TaskActor, before: Task | undefined, after: Task): void {
  const who = () => `${actor}: task ${after.ID}`;
  assert(
    DESIRED_STATES.includes(after.DesiredState),
    `${who()}: desired state ${after.DesiredState}`,
  );
  if (!before) {
    assert(actor === "orchestrator", `${who()}: only the orchestrator creates tasks`);
    assert(FIRST_STATES.includes(after.Status.State), `${who()}: begins as ${after.Status.State}`);
    return;
  }
  const [from, to] = [before.Status.State, after.Status.State];
  assert(mayMove(actor, from, to), `${who()}: ${from} to ${to}`);
  if (before.DesiredState === after.DesiredState) return;
  assert(
    actor === "orchestrator" && compareStates(before.DesiredState, after.DesiredState) < 0,
    `${who()}: desired ${before.DesiredState} to ${after.DesiredState}`,
  );
}
