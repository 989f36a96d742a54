import type { EndpointSpec, TaskSpec } from "./service_spec.ts";

/**
 * What of a spec decides whether a task still fits it, in a form that is equal where the meaning is: what
 * one client writes out and another leaves to its default is the same. The orchestrator replaces tasks by
 * it, and the difference that is shown before a deployment is worked out from it.
 */

/** The parts of a task's spec that it depends on once it is placed. */
export function significant(spec: TaskSpec, pulled: boolean): Record<string, unknown> {
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
  }) as Record<string, unknown>;
}

/** Ports and mode as a text that is equal where they mean the same. */
export function endpointText(endpoint: EndpointSpec | undefined): string {
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
export function trimmed(value: unknown): unknown {
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
