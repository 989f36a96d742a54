import type { Service } from "../../model/service.ts";
import { modeOf, replicasOf } from "../../model/service.ts";
import type { ServiceSpec } from "../../model/service_spec.ts";
import { sourceOf } from "../../model/port_source.ts";
import { ZERO_TIME } from "../../model/meta.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { taskSpecJson, withoutZero } from "./task_spec.ts";

type Json = Record<string, unknown>;

export function serviceSpecJson(spec: ServiceSpec): Json {
  const { UpdateConfig: update, RollbackConfig: rollback, ...rest } = spec;
  return {
    ...rest,
    Labels: spec.Labels ?? {},
    TaskTemplate: taskSpecJson(spec.TaskTemplate),
    ...(update ? { UpdateConfig: withoutZero(update, "Delay") } : {}),
    ...(rollback ? { RollbackConfig: withoutZero(rollback, "Delay") } : {}),
  };
}

export function serviceJson(service: Service): Json {
  const { UpdateStatus: update, JobStatus: job } = service;
  return {
    ID: service.ID,
    Version: service.Version,
    CreatedAt: service.CreatedAt,
    UpdatedAt: service.UpdatedAt,
    Spec: serviceSpecJson(service.Spec),
    ...(service.PreviousSpec ? { PreviousSpec: serviceSpecJson(service.PreviousSpec) } : {}),
    Endpoint: endpointJson(service),
    ...(update ? { UpdateStatus: update } : {}),
    ...(job
      ? {
        JobStatus: {
          JobIteration: job.JobIteration.Index === 0 ? {} : job.JobIteration,
          LastExecution: job.LastExecution ?? ZERO_TIME,
        },
      }
      : {}),
  };
}

/**
 * Docker's endpoint: empty for a service without ports and networks, to which its managers allocate nothing. What a
 * published port shows its clients' addresses as is fleet's own word.
 */
function endpointJson({ Endpoint, Spec }: Service): Json {
  const { Ports = [], VirtualIPs, Spec: asked } = Endpoint ?? {};
  const shown = Ports.map((port) => {
    const source = sourceOf(Spec, port.PublishedPort ?? 0);
    return (port.PublishMode ?? "ingress") === "ingress" && source !== "masquerade"
      ? { ...port, Source: source }
      : port;
  });
  return {
    Spec: Spec.EndpointSpec && (Ports.length > 0 || VirtualIPs?.length) ? asked ?? {} : {},
    ...(Ports.length > 0 ? { Ports: shown } : {}),
    ...(VirtualIPs ? { VirtualIPs } : {}),
  };
}

/** Running, desired and completed tasks, counted as Docker counts them for `service ls`. */
export function serviceStatus(view: View, service: Service): Json {
  const tasks = [...view.tasksOfService(service.ID)];
  const mode = modeOf(service.Spec);
  const iteration = service.JobStatus?.JobIteration.Index;
  const current = tasks.filter((task) =>
    iteration === undefined || task.JobIteration?.Index === iteration
  );
  const running =
    tasks.filter((task) => task.Status.State === "running" && onLiveNode(view, task)).length;
  const completed = current.filter((task) => task.Status.State === "complete").length;
  const wanted = mode === "replicated"
    ? replicasOf(service.Spec)
    : mode === "replicated-job"
    ? service.Spec.Mode?.ReplicatedJob?.MaxConcurrent ?? 1
    : current.filter((task) =>
      mode === "global"
        ? task.DesiredState === "running"
        : task.DesiredState === "complete" && compareStates(task.Status.State, "complete") < 0
    ).length;
  return {
    RunningTasks: running,
    DesiredTasks: wanted,
    CompletedTasks: iteration === undefined ? 0 : completed,
  };
}

/** What a lost node reported last is no longer so. */
function onLiveNode(view: View, task: Task): boolean {
  return view.get("node", task.NodeID ?? "")?.Status.State !== "down";
}
