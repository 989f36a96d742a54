import { nodeName } from "../../model/node.ts";
import type { Objects } from "../../model/objects.ts";
import { replicasOf } from "../../model/service.ts";
import { taskName } from "../../model/task.ts";
import type { Applied } from "../../model/view.ts";

/** Types whose events come from the cluster; `task` is beyond Docker. */
const CLUSTER_TYPES = ["service", "node", "secret", "config", "network", "task"];

/** An event as `GET /events` has it. */
export interface ClusterEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
  readonly scope: "swarm";
  readonly time: number;
  readonly timeNano: number;
}

/**
 * The event of a change, or undefined for changes that nobody outside cares about. `nowMs` is when something was
 * removed: objects tell only when they were made and changed.
 */
export function eventOf(change: Applied, nowMs: number): ClusterEvent | undefined {
  if (!CLUSTER_TYPES.includes(change.table)) return undefined;
  const attributes = attributesOf(change);
  if (!attributes) return undefined;
  const ms = change.op === "remove"
    ? nowMs
    : Date.parse(change.op === "create" ? change.object.CreatedAt : change.object.UpdatedAt);
  return {
    Type: change.table,
    Action: change.op,
    Actor: { ID: change.object.ID, Attributes: attributes },
    scope: "swarm",
    time: Math.floor(ms / 1000),
    timeNano: ms * 1_000_000,
  };
}

function attributesOf(change: Applied): Record<string, string> | undefined {
  if (change.table === "node") {
    const node = change.object as Objects["node"];
    const before = change.previous as Objects["node"] | undefined;
    const changed = before
      ? {
        ...pair("state", before.Status.State, node.Status.State),
        ...pair("availability", before.Spec.Availability, node.Spec.Availability),
        ...pair("role", before.Spec.Role, node.Spec.Role),
      }
      : {};
    return { name: nodeName(node), ...changed };
  }
  if (change.table === "service") {
    const service = change.object as Objects["service"];
    const before = change.previous as Objects["service"] | undefined;
    const image = (s: Objects["service"]) => s.Spec.TaskTemplate?.ContainerSpec?.Image;
    const changed = before
      ? {
        ...pair("image", image(before), image(service)),
        ...pair("replicas", String(replicasOf(before.Spec)), String(replicasOf(service.Spec))),
        ...pair("updatestate", before.UpdateStatus?.State, service.UpdateStatus?.State),
      }
      : {};
    return { name: service.Spec.Name ?? "", ...changed };
  }
  if (change.table === "task") {
    const task = change.object as Objects["task"];
    const before = change.previous as Objects["task"] | undefined;
    if (
      before && before.Status.State === task.Status.State &&
      // Why no node is found for it is news, though it goes on waiting.
      before.Status.Err === task.Status.Err &&
      before.DesiredState === task.DesiredState
    ) return undefined;
    return {
      name: taskName(task),
      service: task.ServiceAnnotations?.Name ?? "",
      state: task.Status.State,
      desired: task.DesiredState,
      ...(task.NodeID ? { node: task.NodeID } : {}),
      ...(task.Status.Err ? { error: task.Status.Err } : {}),
    };
  }
  return { name: (change.object as Objects["secret"]).Spec.Name ?? "" };
}

function pair(
  key: string,
  before: string | undefined,
  after: string | undefined,
): Record<string, string> {
  if (before === after) return {};
  return {
    ...(before === undefined ? {} : { [`${key}.old`]: before }),
    ...(after === undefined ? {} : { [`${key}.new`]: after }),
  };
}
