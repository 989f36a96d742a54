import { timeText } from "../../model/meta.ts";
import type { TaskStatusUpdate } from "../../model/session.ts";
import { compareStates } from "../../model/task_state.ts";
import type { TaskStatus } from "../../model/task.ts";
import type { Change, View } from "../../model/view.ts";

/**
 * Takes over what a node says of its tasks. A state never goes back, a task of another node is not
 * this node's to report, and a state that the cluster itself set as final stays.
 */
export function applyStatusUpdates(
  view: View,
  nodeId: string,
  updates: readonly TaskStatusUpdate[],
  nowMs: number,
): Change[] {
  const changes: Change[] = [];
  for (const { taskId, status } of updates) {
    const task = view.get("task", taskId);
    if (!task || task.NodeID !== nodeId) continue;
    const order = compareStates(status.State, task.Status.State);
    if (order < 0 || (order === 0 && sameFacts(status, task.Status))) continue;
    changes.push({
      op: "update",
      table: "task",
      object: {
        ...task,
        Status: { ...status, AppliedAt: timeText(nowMs) },
        ...(status.State === "running" && task.RunningAt === undefined
          ? { RunningAt: timeText(nowMs) }
          : {}),
      },
    });
  }
  return changes;
}

function sameFacts(a: TaskStatus, b: TaskStatus): boolean {
  return a.Err === b.Err && a.ContainerStatus?.ContainerID === b.ContainerStatus?.ContainerID &&
    a.ContainerStatus?.PID === b.ContainerStatus?.PID;
}
