import { matches, parseConstraints } from "../../model/constraint.ts";
import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import type { EndpointSpec, TaskSpec } from "../../model/service_spec.ts";
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

/** The parts of a task's spec that it depends on once it is placed. */
function significant(spec: TaskSpec, pulled: boolean): unknown {
  const { RestartPolicy: _, Placement, ContainerSpec, Runtime, ...rest } = spec;
  const { Constraints: __, ...placement } = Placement ?? {};
  const { PullOptions, Isolation, ...container } = ContainerSpec ?? {};
  return trimmed({
    ...rest,
    Placement: placement,
    ContainerSpec: {
      ...container,
      ...(Isolation === "default" ? {} : { Isolation }),
      ...(pulled ? {} : { PullOptions }),
    },
    ...(Runtime === "container" ? {} : { Runtime }),
  });
}

function endpointText(endpoint: EndpointSpec | undefined): string {
  const ports = (endpoint?.Ports ?? []).map((port) =>
    [
      port.Protocol ?? "tcp",
      port.TargetPort ?? 0,
      port.PublishedPort ?? 0,
      port.PublishMode ?? "ingress",
      port.Name ?? "",
    ].join("/")
  );
  return `${endpoint?.Mode ?? "vip"} ${ports.sort().join(" ")}`;
}

/** Fields whose absence means something else than their zero. */
const ZERO_MATTERS: ReadonlySet<string> = new Set(["Init", "StopGracePeriod", "MemorySwappiness"]);
/** Maps of the user's own keys: there an empty text is a value. */
const OWN_KEYS: ReadonlySet<string> = new Set(["Labels", "Sysctls", "Options", "DriverOpts"]);

/** Without what says nothing: empty texts, lists and objects, zeros and false. Keys sorted. */
function trimmed(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => typeof item === "object" ? trimmed(item) ?? {} : item);
  }
  if (typeof value !== "object" || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) {
    const field = (value as Record<string, unknown>)[key];
    const kept = OWN_KEYS.has(key) && !Array.isArray(field) ? sorted(field) : trimmed(field);
    if (ZERO_MATTERS.has(key) ? kept !== undefined : !isNothing(kept)) out[key] = kept;
  }
  return out;
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) {
    return true;
  }
  return typeof value === "object" && Object.keys(value).length === 0;
}
