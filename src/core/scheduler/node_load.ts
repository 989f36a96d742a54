import { timeMs } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import type { GenericResource } from "../../model/service_spec.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";

/** This many failures of a service on a node within the window make other nodes better (SwarmKit 4.8). */
export const MANY_FAILURES = 5;
export const FAILURE_WINDOW_MS = 5 * 60_000;

/** A node with what is placed on it. Counts change as the scheduler places more. */
export class NodeLoad {
  readonly node: Node;
  /** Tasks that are wanted to run. */
  total = 0;
  freeNanoCpus: number;
  freeMemory: number;
  readonly perService = new Map<string, number>();
  readonly failures = new Map<string, number>();
  readonly hostPorts = new Set<string>();
  /** Free counts and names of generic resources by kind. */
  readonly generic = new Map<string, { count: number; names: string[] }>();

  constructor(view: View, node: Node, nowMs: number) {
    this.node = node;
    const resources = node.Description?.Resources;
    this.freeNanoCpus = resources?.NanoCPUs ?? 0;
    this.freeMemory = resources?.MemoryBytes ?? 0;
    for (const resource of resources?.GenericResources ?? []) this.#offer(resource);
    for (const task of view.tasksOfNode(node.ID)) {
      if (isPlaced(task)) this.add(task);
      else if (["failed", "rejected"].includes(task.Status.State)) {
        const at = timeMs(task.Status.AppliedAt ?? task.Status.Timestamp);
        if (at > nowMs - FAILURE_WINDOW_MS) bump(this.failures, versionKey(task));
      }
    }
  }

  #offer(resource: GenericResource): void {
    const kind = resource.NamedResourceSpec?.Kind ?? resource.DiscreteResourceSpec?.Kind ?? "";
    const held = this.generic.get(kind) ?? { count: 0, names: [] };
    if (resource.NamedResourceSpec) held.names.push(resource.NamedResourceSpec.Value ?? "");
    else held.count += resource.DiscreteResourceSpec?.Value ?? 0;
    this.generic.set(kind, held);
  }

  /** Books a task's reservations. */
  add(task: Task): void {
    this.total++;
    bump(this.perService, task.ServiceID ?? "");
    const reserved = task.Spec.Resources?.Reservations;
    this.freeNanoCpus -= reserved?.NanoCPUs ?? 0;
    this.freeMemory -= reserved?.MemoryBytes ?? 0;
    for (const port of hostPortsOf(task)) this.hostPorts.add(port);
    for (const resource of task.GenericResources ?? []) this.#take(resource);
  }

  #take(resource: GenericResource): void {
    const kind = resource.NamedResourceSpec?.Kind ?? resource.DiscreteResourceSpec?.Kind ?? "";
    const held = this.generic.get(kind);
    if (!held) return;
    if (resource.NamedResourceSpec) {
      held.names = held.names.filter((name) => name !== resource.NamedResourceSpec?.Value);
    } else held.count -= resource.DiscreteResourceSpec?.Value ?? 0;
  }

  /** Takes what a task asks for in generic resources: counts, or names where the node has names. */
  claim(task: Task): GenericResource[] {
    return (task.Spec.Resources?.Reservations?.GenericResources ?? []).flatMap(
      (wanted): GenericResource[] => {
        const { Kind: kind = "", Value: value = 0 } = wanted.DiscreteResourceSpec ?? {};
        const names = this.generic.get(kind)?.names ?? [];
        if (names.length === 0) return [{ DiscreteResourceSpec: { Kind: kind, Value: value } }];
        return names.slice(0, value).map((name) => ({
          NamedResourceSpec: { Kind: kind, Value: name },
        }));
      },
    );
  }
}

function isPlaced(task: Task): boolean {
  return compareStates(task.DesiredState, "complete") <= 0 && !isTerminal(task.Status.State);
}

/** Service and spec version: failures of an older spec say nothing about a newer one. */
export function versionKey(task: Task): string {
  return `${task.ServiceID ?? ""}/${task.SpecVersion?.Index ?? 0}`;
}

export function hostPortsOf(task: Task): string[] {
  return (task.EndpointSpec?.Ports ?? [])
    .filter((port) => port.PublishMode === "host" && port.PublishedPort)
    .map((port) => `${port.PublishedPort}/${port.Protocol ?? "tcp"}`);
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
