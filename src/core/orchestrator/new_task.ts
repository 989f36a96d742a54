import { timeMs, timeText } from "../../model/meta.ts";
import type { Network } from "../../model/network.ts";
import { ingressPorts } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { Situation } from "./outcome.ts";

/** A task made later than this after its service was changed is no part of that request any more. */
const TRACE_LASTS_MS = 60 * 60_000;

/** Where a fresh task of a service belongs. */
export interface Place {
  readonly slot?: number;
  /** Preset for global services. */
  readonly nodeId?: string;
}

export function placeOf(task: Task, global: boolean): Place {
  if (global) return task.NodeID === undefined ? {} : { nodeId: task.NodeID };
  return task.Slot === undefined ? {} : { slot: task.Slot };
}

/** A task as the orchestrator creates it; the allocator or the scheduler takes it from there. */
export function newTask(
  situation: Situation,
  service: Service,
  place: Place,
  more: Partial<Task>,
): Task {
  const { view, nowMs } = situation;
  const logDriver = service.Spec.TaskTemplate?.LogDriver ??
    clusterOf(view)?.Spec.TaskDefaults?.LogDriver;
  const own = (service.Spec.TaskTemplate?.Networks ?? []).flatMap(
    ({ Target, Aliases, DriverOpts }) => {
      const network = Target === undefined ? undefined : view.get("network", Target);
      if (!network) return [];
      return [{
        NetworkID: network.ID,
        Name: network.Spec.Name ?? "",
        ...(Aliases ? { Aliases } : {}),
        ...(DriverOpts ? { DriverOpts } : {}),
      }];
    },
  );
  // Last, so that a network of the service's own is the way out of the container.
  const ingress = ingressOf(view, service);
  const attachments = ingress
    ? [...own, { NetworkID: ingress.ID, Name: ingress.Spec.Name ?? "" }]
    : own;
  const now = timeText(nowMs);
  return {
    ID: situation.newId(),
    Version: { Index: 0 },
    CreatedAt: now,
    UpdatedAt: now,
    Spec: service.Spec.TaskTemplate ?? {},
    ServiceID: service.ID,
    ...(place.slot === undefined ? {} : { Slot: place.slot }),
    ...(place.nodeId === undefined ? {} : { NodeID: place.nodeId }),
    Status: { Timestamp: now, ...initialState(view, service) },
    DesiredState: "running",
    SpecVersion: service.SpecVersion ?? { Index: 0 },
    ServiceAnnotations: { Name: service.Spec.Name ?? "", Labels: service.Spec.Labels ?? {} },
    ...(service.Spec.EndpointSpec ? { EndpointSpec: service.Spec.EndpointSpec } : {}),
    ...(service.JobStatus ? { JobIteration: service.JobStatus.JobIteration } : {}),
    ...(logDriver ? { LogDriver: logDriver } : {}),
    ...(attachments.length > 0 ? { NetworksAttachments: attachments } : {}),
    ...(isTraced(service, more, nowMs) ? { Trace: service.Trace } : {}),
    ...more,
  };
}

/** Whether a task is what a traced request asked for, and not the restart of one that had been. */
function isTraced(service: Service, { RestartCount = 0 }: Partial<Task>, nowMs: number) {
  return service.Trace !== undefined && RestartCount === 0 &&
    nowMs - timeMs(service.UpdatedAt) < TRACE_LASTS_MS;
}

/**
 * Where a task's life begins: with the allocator when it needs addresses, else at once in the
 * scheduler's queue.
 */
export function initialState(view: View, service: Service): Pick<TaskStatus, "State" | "Message"> {
  const attached = (service.Spec.TaskTemplate?.Networks ?? []).some(({ Target }) => {
    const network = Target === undefined ? undefined : view.get("network", Target);
    return network !== undefined && needsAllocation(network);
  });
  return attached || ingressOf(view, service) !== undefined
    ? { State: "new", Message: "created" }
    : { State: "pending", Message: "pending task scheduling" };
}

/** The engines' own networks have no addresses to give out cluster-wide. */
function needsAllocation(network: Network): boolean {
  return (network.Spec.Driver?.Name || "overlay") === "overlay";
}

/** The network of the routing mesh, for a service that publishes ports through it. */
function ingressOf(view: View, service: Service): Network | undefined {
  if (ingressPorts(service.Spec).length === 0) return undefined;
  for (const network of view.all("network")) if (network.Spec.Ingress) return network;
  return undefined;
}
