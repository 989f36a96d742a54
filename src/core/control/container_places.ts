import { FleetError } from "../../base/errors.ts";
import { withoutLength } from "../../model/network.ts";
import type { Network } from "../../model/network.ts";
import type { TaskSpec } from "../../model/service_spec.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import type { ControlContext } from "./context.ts";
import type { ControlArgs } from "./methods.ts";

/**
 * A container outside services does not run any more. Its task stays as long as the container does, and so
 * does its node's part of the network, since the container's name server and the engine's network are fixed
 * in the engine's own record of it. Its name goes, and its address unless its user chose it or the engine may
 * start it by itself. What is gone already is fine.
 */
export function stopContainer(
  { tx }: ControlContext,
  args: ControlArgs<"network.container-stopped">,
): null {
  const task = attachment(tx, args);
  if (!task || task.Spec.NetworkAttachmentSpec.Idle) return null;
  const { NetworkAttachmentSpec: spec } = task.Spec;
  const [place] = task.NetworksAttachments ?? [];
  const { Err: _, ...Status } = task.Status;
  const keeps = args.keepAddress || spec.Fixed || !place?.Addresses;
  const { Addresses = [], MAC: _mac, ...without } = place ?? { NetworkID: "" };
  tx.update("task", {
    ...task,
    Status,
    Spec: {
      ...task.Spec,
      NetworkAttachmentSpec: {
        ...spec,
        Idle: true,
        ...(keeps ? {} : { LastAddress: withoutLength(Addresses[0] ?? "") }),
      },
    },
    ...(keeps ? {} : { NetworksAttachments: [without] }),
  });
  return null;
}

/** It runs again. Without an address, the allocator gives it one. @throws FleetError not-found */
export function startContainer(
  { tx }: ControlContext,
  args: ControlArgs<"network.container-started">,
): null {
  const task = attachment(tx, args);
  if (!task?.Spec.NetworkAttachmentSpec.Idle) return null;
  const { Idle: _, ...spec } = task.Spec.NetworkAttachmentSpec;
  tx.update("task", { ...task, Spec: { ...task.Spec, NetworkAttachmentSpec: spec } });
  return null;
}

type Place = Task & {
  readonly Spec: { readonly NetworkAttachmentSpec: NonNullable<TaskSpec["NetworkAttachmentSpec"]> };
};

/** @throws FleetError forbidden */
function attachment(
  view: View,
  { taskId, nodeId }: { readonly taskId: string; readonly nodeId: string },
): Place | undefined {
  const task = view.get("task", taskId);
  if (!task?.Spec.NetworkAttachmentSpec || isTerminal(task.Status.State)) return undefined;
  if (task.NodeID !== nodeId) {
    throw new FleetError("forbidden", `attachment ${taskId} is another node's`);
  }
  return task as Place;
}

/** Places on a network of containers that do not run; they end with it. */
export function idlePlaces(view: View, { ID }: Network): string[] {
  return [...view.all("task")].filter(({ Spec, NetworksAttachments }) =>
    Spec.NetworkAttachmentSpec?.Idle &&
    NetworksAttachments?.some(({ NetworkID }) => NetworkID === ID)
  ).map((task) => task.ID).sort();
}
