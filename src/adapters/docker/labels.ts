import { taskName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";

/** Swarm's container labels: dashboards and log collectors key on them. */
export const LABEL = {
  task: "com.docker.swarm.task",
  taskId: "com.docker.swarm.task.id",
  taskName: "com.docker.swarm.task.name",
  nodeId: "com.docker.swarm.node.id",
  serviceId: "com.docker.swarm.service.id",
  serviceName: "com.docker.swarm.service.name",
  /** Marks a container as ours; its value is the cluster's node id, so that two agents never mix. */
  owner: "io.fleet.node",
} as const;

export function containerLabels(task: Task): Record<string, string> {
  return {
    ...task.Spec.ContainerSpec?.Labels,
    [LABEL.task]: "",
    [LABEL.taskId]: task.ID,
    [LABEL.taskName]: taskName(task),
    [LABEL.nodeId]: task.NodeID ?? "",
    [LABEL.serviceId]: task.ServiceID ?? "",
    [LABEL.serviceName]: task.ServiceAnnotations?.Name ?? "",
    [LABEL.owner]: task.NodeID ?? "",
  };
}
