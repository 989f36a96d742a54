import { matches, parseConstraints } from "../../model/constraint.ts";
import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import type { TaskSpec } from "../../model/service_spec.ts";
import { endpointText, significant } from "../../model/significant_spec.ts";
import type { Task } from "../../model/task.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";

/**
 * Whether a task has to be replaced to match its service's spec (SwarmKit's IsTaskDirty). Service labels,
 * counts, restart policy and update settings never matter; new constraints only when the task's node
 * breaks them; new pull credentials only to tasks that have not pulled yet. What a client writes out and
 * another leaves to its default is the same.
 */
export function isDirty(service: Service, task: Task, node: Node | undefined): boolean {
  if ((task.SpecVersion?.Index ?? 0) === (service.SpecVersion?.Index ?? 0)) return false;
  const wanted = service.Spec.TaskTemplate ?? NO_SPEC;
  const pulled = ["ready", "starting", "running"].includes(task.Status.State);
  if (textOf(wanted, pulled) !== textOf(task.Spec, pulled)) return true;
  if (endpointText(service.Spec.EndpointSpec) !== endpointText(task.EndpointSpec)) return true;
  const constraints = wanted.Placement?.Constraints ?? [];
  if (sameList(constraints, task.Spec.Placement?.Constraints ?? [])) return false;
  // A task that waits for the scheduler is placed by the constraints that it carries.
  if (!node || compareStates(task.Status.State, "assigned") < 0) {
    return !isTerminal(task.Status.State);
  }
  return !parseConstraints(constraints).every((constraint) => matches(constraint, node));
}

const NO_SPEC: TaskSpec = {};

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

/** Comparing text, kept for as long as the spec object: a rollout compares every task at every look. */
const TEXTS = { pulled: new WeakMap<TaskSpec, string>(), waiting: new WeakMap<TaskSpec, string>() };

function textOf(spec: TaskSpec, pulled: boolean): string {
  const kept = pulled ? TEXTS.pulled : TEXTS.waiting;
  const known = kept.get(spec);
  if (known !== undefined) return known;
  const text = JSON.stringify(significant(spec, pulled)) ?? "";
  kept.set(spec, text);
  return text;
}
