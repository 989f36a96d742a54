import { int, list, obj, oneOf, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { metaFields, Version } from "./meta.ts";
import { EndpointSpec, PortConfig, ServiceSpec } from "./service_spec.ts";

export const Endpoint = obj({
  Spec: opt(EndpointSpec),
  Ports: opt(list(PortConfig)),
  VirtualIPs: opt(list(obj({ NetworkID: opt(str), Addr: opt(str) }))),
});
export type Endpoint = Infer<typeof Endpoint>;

export const UPDATE_STATES = [
  "updating",
  "paused",
  "completed",
  "rollback_started",
  "rollback_paused",
  "rollback_completed",
] as const;
export type UpdateState = typeof UPDATE_STATES[number];

export const UPDATE_ORDERS = ["stop-first", "start-first"] as const;
export type UpdateOrder = typeof UPDATE_ORDERS[number];

export const UpdateStatus = obj({
  State: oneOf(UPDATE_STATES),
  StartedAt: opt(str),
  CompletedAt: opt(str),
  Message: opt(str),
  /** The order of this update alone, instead of the spec's. */
  Order: opt(oneOf(UPDATE_ORDERS)),
});
export type UpdateStatus = Infer<typeof UpdateStatus>;

/** What the user asked for, and how far the cluster has come with it. */
export const Service = obj({
  ...metaFields,
  Spec: ServiceSpec,
  PreviousSpec: opt(ServiceSpec),
  Endpoint: opt(Endpoint),
  UpdateStatus: opt(UpdateStatus),
  JobStatus: opt(obj({ JobIteration: Version, LastExecution: opt(str) })),
  /** Internal: changes only when the spec does; tasks made from it carry the same. */
  SpecVersion: opt(Version),
  PreviousSpecVersion: opt(Version),
  /** Internal: a deleted service stays until its tasks are gone, so that its addresses do. */
  PendingDelete: opt(int),
  /** Internal: the W3C trace context of the request that made or last changed it. */
  Trace: opt(str),
});
export type Service = Infer<typeof Service>;

/** The four modes by Docker's filter words. */
export type ModeName = "replicated" | "global" | "replicated-job" | "global-job";

/** The mode of a spec; a spec without one is replicated. */
export function modeOf(spec: ServiceSpec): ModeName {
  if (spec.Mode?.Global) return "global";
  if (spec.Mode?.ReplicatedJob) return "replicated-job";
  if (spec.Mode?.GlobalJob) return "global-job";
  return "replicated";
}

/** Replicas of a replicated service, 1 when unset (section 3.4 of Docker's defaults). */
export function replicasOf(spec: ServiceSpec): number {
  return spec.Mode?.Replicated?.Replicas ?? 1;
}

/** Whether tasks of this mode run to their end instead of for ever. */
export function isJobMode(mode: ModeName): boolean {
  return mode === "replicated-job" || mode === "global-job";
}

/** Whether an update or a rollback is under way. */
export function isRollingOut({ UpdateStatus: status }: Service): boolean {
  return status?.State === "updating" || status?.State === "rollback_started";
}

/** Ports that every node answers on, whichever runs the task. */
export function ingressPorts(spec: ServiceSpec): readonly PortConfig[] {
  return (spec.EndpointSpec?.Ports ?? []).filter(({ PublishMode }) =>
    (PublishMode ?? "ingress") === "ingress"
  );
}

/** The endpoint as far as the spec alone tells it; addresses and free ports are the allocator's. */
export function endpointOf(spec: ServiceSpec): NonNullable<Service["Endpoint"]> {
  return { Spec: { Mode: "vip", ...spec.EndpointSpec }, Ports: spec.EndpointSpec?.Ports ?? [] };
}
