import type { ContainerSpec } from "../../src/model/container_spec.ts";
import type { Task } from "../../src/model/task.ts";

const CREATED = "2026-01-01T00:00:00Z";

/** An assigned task of service `web` that runs a long sleep, unless the test says otherwise. */
export function makeTask(
  id: string,
  change: Partial<Task> & { container?: Partial<ContainerSpec> } = {},
): Task {
  const { container, ...rest } = change;
  return {
    ID: id,
    Version: { Index: 1 },
    CreatedAt: CREATED,
    UpdatedAt: CREATED,
    ServiceID: "service-of-web",
    ServiceAnnotations: { Name: "web", Labels: { tier: "front" } },
    Slot: 1,
    NodeID: "node1",
    Status: { State: "assigned", Timestamp: CREATED, Message: "scheduler assigned task to node" },
    DesiredState: "running",
    Spec: {
      ContainerSpec: {
        Image: "busybox:latest",
        Command: ["sleep", "100000"],
        StopGracePeriod: 0,
        ...container,
      },
    },
    ...rest,
  };
}
