import { int, labels, list, obj, oneOf, opt, str } from "./json.ts";
import type { Infer } from "./json.ts";
import { Driver, metaFields, timeMs, Version } from "./meta.ts";
import { EndpointSpec, GenericResource, PortConfig, TaskSpec } from "./service_spec.ts";
import { Endpoint } from "./service.ts";
import { TASK_STATES } from "./task_state.ts";

const State = oneOf(TASK_STATES);

export const ContainerStatus = obj({ ContainerID: opt(str), PID: opt(int), ExitCode: opt(int) });
export type ContainerStatus = Infer<typeof ContainerStatus>;

export const TaskStatus = obj({
  /** When the agent (or the manager part that set it) saw the state. */
  Timestamp: opt(str),
  State,
  Message: opt(str),
  Err: opt(str),
  ContainerStatus: opt(ContainerStatus),
  PortStatus: opt(obj({ Ports: opt(list(PortConfig)) })),
  /** Internal: when the leader stored it, by the leader's clock. */
  AppliedAt: opt(str),
});
export type TaskStatus = Infer<typeof TaskStatus>;

/** The address of a task on one network, as the allocator gave it. */
export const NetworkAttachment = obj({
  NetworkID: str,
  /** Internal: the network's name, so that a worker need not know the network object. */
  Name: opt(str),
  Addresses: opt(list(str)),
  Aliases: opt(list(str)),
  MAC: opt(str),
  /** Internal: what the service asks of the engine's driver for this attachment. */
  DriverOpts: opt(labels),
});
export type NetworkAttachment = Infer<typeof NetworkAttachment>;

/** One attempt to run one slot of a service on one node. */
export const Task = obj({
  ...metaFields,
  Name: opt(str),
  Labels: opt(labels),
  Spec: TaskSpec,
  ServiceID: opt(str),
  /** 1.. for replicated, 0.. for replicated jobs, absent for global. */
  Slot: opt(int),
  NodeID: opt(str),
  Status: TaskStatus,
  DesiredState: State,
  NetworksAttachments: opt(list(NetworkAttachment)),
  GenericResources: opt(list(GenericResource)),
  JobIteration: opt(Version),
  /** Internal: the service's spec version it was made from. */
  SpecVersion: opt(Version),
  /** Internal: the service's name and labels, which outlive the service. */
  ServiceAnnotations: opt(obj({ Name: opt(str), Labels: opt(labels) })),
  /** Internal: the endpoint it was made for. */
  EndpointSpec: opt(EndpointSpec),
  Endpoint: opt(Endpoint),
  LogDriver: opt(Driver),
  /** Internal: a replacement that waits (desired ready) may start at this time. */
  NotBefore: opt(str),
  /** Internal: the task this one replaces; it must have stopped before this one starts. */
  Replaces: opt(str),
  /** Internal: which restart in a row this is, 0 for a first task; drives the back-off. */
  RestartCount: opt(int),
  /** Internal: restarts so far in this slot under this spec; the policy's MaxAttempts counts them. */
  Attempts: opt(int),
  /** Internal: when those within the policy's window were made, oldest first. */
  AttemptTimes: opt(list(str)),
  /** Internal: when the leader stored that it runs; the updater's delay and monitor count from here. */
  RunningAt: opt(str),
  /** Internal: set while it shall be replaced by a task elsewhere, to even out the nodes. */
  Relocate: opt(obj({ At: str, To: opt(str) })),
  /** Internal: where it goes when that node fits; other nodes are the second choice. */
  PreferredNodeID: opt(str),
  /** Internal: the W3C trace context of the request that it was made for. */
  Trace: opt(str),
});
export type Task = Infer<typeof Task>;

/** `service.slot`, or `service.nodeID` for global ones: how tables name the task's place. */
export function slotName(task: Task): string {
  const service = task.ServiceAnnotations?.Name ?? task.ServiceID ?? "";
  return `${service}.${task.Slot ?? task.NodeID ?? ""}`;
}

/** `service.slot.taskID`: the task's display name and its container's name. */
export function taskName(task: Task): string {
  return task.ServiceID === undefined ? task.Name ?? task.ID : `${slotName(task)}.${task.ID}`;
}

/** A mark for moving that led to nothing by then is void: the plan it came from is out of date. */
export const RELOCATE_EXPIRES_MS = 10 * 60_000;

/** Until when a task is to be moved for the sake of an even spread; 0 when it is not. */
export function relocatesUntilMs(task: Task, nowMs: number): number {
  if (!task.Relocate) return 0;
  const untilMs = timeMs(task.Relocate.At) + RELOCATE_EXPIRES_MS;
  return untilMs > nowMs ? untilMs : 0;
}

/** The constraint enforcer's word for a task that its node may not run any more. */
export const REJECTED_BY_ENFORCER = "task rejected by constraint enforcer";

/** Whether a task was sent away from its node: it did not fail. */
export function isEvicted(task: Task): boolean {
  return task.Status.State === "rejected" && task.Status.Message === REJECTED_BY_ENFORCER;
}
