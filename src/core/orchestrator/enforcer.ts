import { matches, parseConstraints } from "../../model/constraint.ts";
import { timeText } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import type { GenericResource } from "../../model/service_spec.ts";
import { REJECTED_BY_ENFORCER } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import { assertTransition, isOnNode } from "../../model/task_transitions.ts";
import type { Change, View } from "../../model/view.ts";
import { isDirty } from "./dirty.ts";
import { outcomeOf } from "./outcome.ts";
import type { Outcome, Situation } from "./outcome.ts";
import { isOfVersion } from "./restart.ts";
import { isWanted } from "./slots.ts";

/**
 * Rejects the tasks that a changed node may not run any more: their service's constraints fail, or the
 * node offers less than they reserve (earlier tasks first). Asked for a node whenever its labels, role,
 * description or availability changed. Only active nodes: what is paused or drained is left to that.
 */
export function enforce(situation: Situation, nodeId: string): Outcome {
  const { view } = situation;
  const node = view.get("node", nodeId);
  if (!node || (node.Spec.Availability ?? "active") !== "active") return outcomeOf([]);
  if (node.Status.State === "down") return outcomeOf([]);
  const tasks = [...view.tasksOfNode(nodeId)]
    .filter((task) => isWanted(task) && isOnNode(task.Status.State))
    .sort((a, b) =>
      a.CreatedAt < b.CreatedAt ? -1 : a.CreatedAt > b.CreatedAt ? 1 : a.ID < b.ID ? -1 : 1
    );
  const left = new Budget(node);
  const changes: Change[] = [];
  const here = new Set(tasks.map(({ ID }) => ID));
  for (const task of tasks) {
    // The scheduler gave it what its predecessor holds: they never run both.
    const shares = task.DesiredState === "ready" && here.has(task.Replaces ?? "");
    if (constraintsHold(view, task, node) && (shares || left.take(task))) continue;
    changes.push(rejected(task, situation.nowMs));
  }
  return outcomeOf(changes);
}

/**
 * The service's words count, not those that the task was made with: constraints change without
 * replacing tasks. While a newer spec is not rolled out to a task yet, that is the rollout's business.
 */
function constraintsHold(view: View, task: Task, node: Node): boolean {
  const service = view.get("service", task.ServiceID ?? "");
  if (service && !isOfVersion(service, task) && isDirty(service, task, node)) return true;
  const spec = service?.Spec.TaskTemplate ?? task.Spec;
  return parseConstraints(spec.Placement?.Constraints ?? [])
    .every((constraint) => matches(constraint, node));
}

/** What a node offers and its tasks have not taken yet. */
class Budget {
  #cpus: number;
  #memory: number;
  readonly #generic = new Map<string, number>();

  constructor(node: Node) {
    const resources = node.Description?.Resources;
    this.#cpus = resources?.NanoCPUs ?? 0;
    this.#memory = resources?.MemoryBytes ?? 0;
    for (const resource of resources?.GenericResources ?? []) this.#add(resource, 1);
  }

  /** False, and nothing is taken, when a task reserves more than is left. */
  take(task: Task): boolean {
    const reserved = task.Spec.Resources?.Reservations;
    const cpus = reserved?.NanoCPUs ?? 0;
    const memory = reserved?.MemoryBytes ?? 0;
    // A task without a reservation needs nothing, whatever the node says of itself.
    if ((cpus > 0 && cpus > this.#cpus) || (memory > 0 && memory > this.#memory)) return false;
    const assigned = task.GenericResources ?? [];
    if (assigned.some((resource) => !this.#has(resource))) return false;
    this.#cpus -= cpus;
    this.#memory -= memory;
    for (const resource of assigned) this.#add(resource, -1);
    return true;
  }

  #has(resource: GenericResource): boolean {
    const { key, count } = amountOf(resource);
    return (this.#generic.get(key) ?? 0) >= count;
  }

  #add(resource: GenericResource, sign: number): void {
    const { key, count } = amountOf(resource);
    this.#generic.set(key, (this.#generic.get(key) ?? 0) + sign * count);
  }
}

/** One named resource is one of its own name; discrete ones are counted. */
function amountOf(resource: GenericResource): { key: string; count: number } {
  const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } = resource;
  return named
    ? { key: `${named.Kind ?? ""}=${named.Value ?? ""}`, count: 1 }
    : { key: discrete?.Kind ?? "", count: discrete?.Value ?? 0 };
}

function rejected(task: Task, nowMs: number): Change {
  const now = timeText(nowMs);
  const object: Task = {
    ...task,
    Status: {
      ...task.Status,
      State: "rejected",
      Timestamp: now,
      AppliedAt: now,
      Message: REJECTED_BY_ENFORCER,
      Err: "assigned node no longer meets constraints",
    },
  };
  assertTransition("enforcer", task, object);
  return { op: "update", table: "task", object };
}

/** Whether a node's change can make its tasks unfit. */
export function concernsEnforcer(node: Node, previous: Node | undefined): boolean {
  if (!previous) return false;
  return node.Role !== previous.Role || node.Spec.Availability !== previous.Spec.Availability ||
    JSON.stringify([node.Spec.Labels, node.Description, node.Status.Addr]) !==
      JSON.stringify([previous.Spec.Labels, previous.Description, previous.Status.Addr]);
}
