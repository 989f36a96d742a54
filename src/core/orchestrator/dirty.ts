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
  const compare = (spec: TaskSpec) => JSON.stringify(essence(normal(spec, settled)));
  if (compare(wanted) !== compare(task.Spec)) return true;
  const endpoint = (spec: unknown) => JSON.stringify(essence(spec ?? {}));
  if (endpoint(service.Spec.EndpointSpec) !== endpoint(task.EndpointSpec)) return true;
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

/** Values that say the same as nothing: a client that reads a spec and writes it back adds them. */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  Isolation: "default",
  Runtime: "container",
  Mode: "vip",
  Protocol: "tcp",
  PublishMode: "ingress",
};

/** `value` without what is zero, empty or a default, its keys sorted; undefined when nothing is left. */
function essence(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length === 0 ? undefined : value.map((item) => essence(item) ?? null);
  }
  if (typeof value !== "object" || value === null) {
    return value === "" || value === 0 || value === false || value === null ? undefined : value;
  }
  const left: [string, unknown][] = [];
  for (const key of Object.keys(value).sort()) {
    const raw = (value as Record<string, unknown>)[key];
    const field = raw === DEFAULTS[key] ? undefined : essence(raw);
    if (field !== undefined) left.push([key, field]);
  }
  return left.length === 0 ? undefined : Object.fromEntries(left);
}
