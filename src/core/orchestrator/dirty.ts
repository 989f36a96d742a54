import { matches, parseConstraints } from "../../model/constraint.ts";
import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import type { TaskSpec } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";

/**
 * Whether a task has to be replaced to match its service's spec. Labels, counts and update settings
 * never matter; new constraints only when the task's node breaks them; new pull credentials only to
 * tasks that have not pulled yet. (SwarmKit's IsTaskDirty.)
 */
export function isDirty(service: Service, task: Task, node: Node | undefined): boolean {
  if (task.SpecVersion?.Index === service.SpecVersion?.Index) return false;
  const wanted = service.Spec.TaskTemplate ?? {};
  const settled = ["ready", "starting", "running"].includes(task.Status.State);
  const compare = (spec: TaskSpec) => JSON.stringify(normal(spec, settled));
  if (compare(wanted) !== compare(task.Spec)) return true;
  if (JSON.stringify(service.Spec.EndpointSpec ?? {}) !== JSON.stringify(task.EndpointSpec ?? {})) {
    return true;
  }
  const constraints = wanted.Placement?.Constraints ?? [];
  if (JSON.stringify(constraints) === JSON.stringify(task.Spec.Placement?.Constraints ?? [])) {
    return false;
  }
  return !node || !parseConstraints(constraints).every((constraint) => matches(constraint, node));
}

/** The parts of a task's spec that a running task depends on. */
function normal(spec: TaskSpec, settled: boolean): TaskSpec {
  const { Constraints: _, ...placement } = spec.Placement ?? {};
  const { RestartPolicy: __, Placement: ___, ...rest } = spec;
  const container = spec.ContainerSpec;
  if (!container) return { ...rest, Placement: placement };
  const { PullOptions, ...running } = container;
  return {
    ...rest,
    ContainerSpec: settled || !PullOptions ? running : { ...running, PullOptions },
    Placement: placement,
  };
}
