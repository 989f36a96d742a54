import type { ContainerSpec } from "../../model/container_spec.ts";
import type { TaskSpec } from "../../model/service_spec.ts";

type Json = Record<string, unknown>;

/** Fields that Docker shows as they were given, also when they are empty or zero: pointers in its own structures. */
const GIVEN: ReadonlySet<string> = new Set([
  "Privileges",
  "Init",
  "StopGracePeriod",
  "Healthcheck",
  "DNSConfig",
]);

/** Templates never change once they are stored, and thousands of tasks share one. */
const shown = new WeakMap<TaskSpec, Json>();

/** A task template as Docker's API shows it: pull credentials never leave, some fields always are there. */
export function taskSpecJson(spec: TaskSpec | undefined): Json {
  if (!spec) return { ForceUpdate: 0, Runtime: "container" };
  const known = shown.get(spec);
  if (known) return known;
  const { ContainerSpec: container, Placement, RestartPolicy, ...rest } = spec;
  const json = {
    ...(container ? { ContainerSpec: containerSpecJson(container) } : {}),
    ...rest,
    ...(Placement ? { Placement: withoutEmpty(Placement) } : {}),
    ...(RestartPolicy ? { RestartPolicy: withoutZero(RestartPolicy, "Window") } : {}),
    ForceUpdate: rest.ForceUpdate ?? 0,
    Runtime: rest.Runtime || "container",
  };
  shown.set(spec, json);
  return json;
}

function containerSpecJson({ PullOptions: _, Privileges, Mounts, ...rest }: ContainerSpec): Json {
  return {
    ...withoutEmpty(rest, GIVEN),
    ...(Privileges
      ? { Privileges: { CredentialSpec: null, SELinuxContext: null, ...Privileges } }
      : {}),
    ...(Mounts?.length ? { Mounts: Mounts.map((mount) => withoutEmpty(mount)) } : {}),
    Isolation: rest.Isolation || "default",
  };
}

/** Without the fields that Go's encoder leaves out: empty texts, lists and maps, zeros, false. */
export function withoutEmpty(object: object, kept: ReadonlySet<string> = new Set()): Json {
  return Object.fromEntries(
    Object.entries(object).filter(([name, value]) => kept.has(name) || !isEmpty(value)),
  );
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== "object" || value === null) return !value;
  return Object.keys(value).length === 0;
}

/** Durations that Docker's answers leave out when they are 0. */
export function withoutZero<T extends object>(config: T, field: keyof T): Partial<T> {
  if (config[field] !== 0) return config;
  const { [field]: _, ...rest } = config;
  return rest as Partial<T>;
}
