import { timeText } from "../../model/meta.ts";
import type { TaskStatusUpdate } from "../../model/session.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import { mayMove } from "../../model/task_transitions.ts";
import type { Change, View } from "../../model/view.ts";

/** Longer sentences of agents are cut: they are shown, not parsed, and live in every manager's memory. */
const MAX_SENTENCE = 2_000;

/**
 * Takes over what a node says of its tasks. A state never goes back, a task of another node is not this
 * node's to report, and a state that is the managers' to set is ignored. Of several updates of one task
 * the last that moves it counts.
 */
export function applyStatusUpdates(
  view: View,
  nodeId: string,
  updates: readonly TaskStatusUpdate[],
  nowMs: number,
): Change[] {
  const now = timeText(nowMs);
  const changed = new Map<string, Task>();
  for (const { taskId, status } of updates) {
    const task = changed.get(taskId) ?? view.get("task", taskId);
    if (!task || task.NodeID !== nodeId) continue;
    if (!mayMove("agent", task.Status.State, status.State)) continue;
    if (task.Status.State === status.State && sameFacts(status, task.Status)) continue;
    changed.set(taskId, {
      ...task,
      Status: { ...trimmed(status), AppliedAt: now },
      ...(status.State === "running" && task.RunningAt === undefined ? { RunningAt: now } : {}),
    });
  }
  return [...changed.values()].map((object) => ({ op: "update", table: "task", object }));
}

function trimmed(status: TaskStatus): TaskStatus {
  const { Message, Err } = status;
  return {
    ...status,
    ...(Message === undefined ? {} : { Message: Message.slice(0, MAX_SENTENCE) }),
    ...(Err === undefined ? {} : { Err: Err.slice(0, MAX_SENTENCE) }),
  };
}

function sameFacts(a: TaskStatus, b: TaskStatus): boolean {
  return a.Err === b.Err && a.ContainerStatus?.ContainerID === b.ContainerStatus?.ContainerID &&
    a.ContainerStatus?.PID === b.ContainerStatus?.PID &&
    JSON.stringify(a.PortStatus ?? {}) === JSON.stringify(b.PortStatus ?? {});
}
