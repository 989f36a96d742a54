import { timeText, ZERO_TIME } from "../../model/meta.ts";
import type { Service } from "../../model/service.ts";
import type { Task } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import type { Situation } from "./outcome.ts";

/** Where a fresh task of a service belongs. */
export interface Place {
  readonly slot?: number;
  /** Preset for global services. */
  readonly nodeId?: string;
}

/** A task as the orchestrator creates it; the scheduler takes it from there. */
export function newTask(
  situation: Situation,
  service: Service,
  place: Place,
  more: Partial<Task> = {},
): Task {
  const logDriver = service.Spec.TaskTemplate?.LogDriver ??
    clusterOf(situation.view)?.Spec.TaskDefaults?.LogDriver;
  const attachments = (service.Spec.TaskTemplate?.Networks ?? []).flatMap(({ Target, Aliases }) => {
    const network = Target === undefined ? undefined : situation.view.get("network", Target);
    return network
      ? [{ NetworkID: network.ID, Name: network.Spec.Name ?? "", ...(Aliases ? { Aliases } : {}) }]
      : [];
  });
  return {
    ID: situation.newId(),
    Version: { Index: 0 },
    CreatedAt: ZERO_TIME,
    UpdatedAt: ZERO_TIME,
    Spec: service.Spec.TaskTemplate ?? {},
    ServiceID: service.ID,
    ...(place.slot === undefined ? {} : { Slot: place.slot }),
    ...(place.nodeId === undefined ? {} : { NodeID: place.nodeId }),
    Status: {
      Timestamp: timeText(situation.nowMs),
      State: "pending",
      Message: "pending task scheduling",
    },
    DesiredState: "running",
    SpecVersion: service.SpecVersion ?? { Index: 0 },
    ServiceAnnotations: { Name: service.Spec.Name ?? "", Labels: service.Spec.Labels ?? {} },
    ...(service.Spec.EndpointSpec ? { EndpointSpec: service.Spec.EndpointSpec } : {}),
    ...(service.JobStatus ? { JobIteration: service.JobStatus.JobIteration } : {}),
    ...(logDriver ? { LogDriver: logDriver } : {}),
    ...(attachments.length > 0 ? { NetworksAttachments: attachments } : {}),
    ...more,
  };
}
