import { restartWait } from "../../model/restart_wait.ts";
import type { NetworkAttachment, Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import { networkJson } from "./network.ts";
import { taskSpecJson } from "./task_spec.ts";

/** The template that the task was made from; Docker names its runtime only where it is not the usual one. */
function specJson({ Spec }: Task): Record<string, unknown> {
  const { Runtime, ...spec } = taskSpecJson(Spec);
  return Runtime === "container" ? spec : { ...spec, Runtime };
}

/** As Swarm lists them; containers themselves have the mesh's network last, since the first is their way out. */
function meshFirst(view: View, attachments: readonly NetworkAttachment[]) {
  const isMesh = ({ NetworkID }: NetworkAttachment) =>
    Number(view.get("network", NetworkID)?.Spec.Ingress ?? false);
  return attachments.toSorted((a, b) => isMesh(b) - isMesh(a));
}

/** A task as Docker's API shows it. */
export function taskJson(view: View, task: Task): Record<string, unknown> {
  const wait = restartWait(task);
  const { AppliedAt: _, ContainerStatus: container, ...status } = task.Status;
  return {
    ID: task.ID,
    Version: task.Version,
    CreatedAt: task.CreatedAt,
    UpdatedAt: task.UpdatedAt,
    ...(task.Name ? { Name: task.Name } : {}),
    Labels: task.Labels ?? {},
    Spec: specJson(task),
    ...(task.ServiceID ? { ServiceID: task.ServiceID } : {}),
    ...(task.Slot === undefined ? {} : { Slot: task.Slot }),
    ...(task.NodeID ? { NodeID: task.NodeID } : {}),
    Status: {
      ...status,
      ...(wait === undefined ? {} : { Message: wait }),
      ...(container
        ? {
          ContainerStatus: {
            ContainerID: container.ContainerID ?? "",
            PID: container.PID ?? 0,
            ExitCode: container.ExitCode ?? 0,
          },
        }
        : {}),
      PortStatus: status.PortStatus ?? {},
    },
    DesiredState: task.DesiredState,
    ...(task.NetworksAttachments
      ? {
        NetworksAttachments: meshFirst(view, task.NetworksAttachments).map(
          ({ NetworkID, Addresses }) => {
            const network = view.get("network", NetworkID);
            return {
              Network: network ? networkJson(network) : { ID: NetworkID },
              ...(Addresses ? { Addresses } : {}),
            };
          },
        ),
      }
      : {}),
    ...(task.GenericResources ? { GenericResources: task.GenericResources } : {}),
    ...(task.JobIteration ? { JobIteration: task.JobIteration } : {}),
    Volumes: null,
  };
}
