import { timeMs } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import type { GenericResource, PortConfig } from "../../model/service_spec.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import { isEvicted } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";

/** This many failures of a service on a node within the window make other nodes better (SwarmKit). */
export const MANY_FAILURES = 5;
export const FAILURE_WINDOW_MS = 5 * 60_000;
/** More failures of one service than this need not be told apart. */
const MAX_FAILURES_KEPT = 4 * MANY_FAILURES;
/** Paths that a node lacks, which need not be told apart beyond this. */
const MAX_MISSING_PATHS = 256;
/** Services whose failures are remembered per node; beyond it outdated ones are dropped. */
const MAX_FAILING_SERVICES = 64;

/**
 * A node with what is on it. A task counts against the spread while it is wanted; its reservations and
 * host ports are held until it has really stopped.
 */
export class NodeInfo {
  node: Node;
  /** What is booked, as it was booked. */
  readonly #tasks = new Map<string, Task>();
  /** Tasks that are wanted here. */
  active = 0;
  readonly #perService = new Map<string, number>();
  #nanoCpus = 0;
  #memory = 0;
  readonly #hostPorts = new Map<string, number>();
  /** Taken amounts by kind, and taken names by `kind=name`. */
  readonly #generic = new Map<string, number>();
  /** Times of failures by service and spec version, oldest first. */
  readonly #failures = new Map<string, number[]>();

  /** Until when a host path counts as missing here, by path. */
  readonly #missing = new Map<string, number>();

  constructor(node: Node) {
    this.node = node;
  }

  get freeNanoCpus(): number {
    return (this.node.Description?.Resources?.NanoCPUs ?? 0) - this.#nanoCpus;
  }

  get freeMemory(): number {
    return (this.node.Description?.Resources?.MemoryBytes ?? 0) - this.#memory;
  }

  tasks(): Iterable<Task> {
    return this.#tasks.values();
  }

  has(taskId: string): boolean {
    return this.#tasks.has(taskId);
  }

  countOf(serviceId: string): number {
    return this.#perService.get(serviceId) ?? 0;
  }

  usesHostPort(port: string): boolean {
    return this.#hostPorts.has(port);
  }

  /** Books a task that the store says is here; whatever was booked of it before is forgotten. */
  book(task: Task): void {
    this.unbook(task.ID);
    this.#tasks.set(task.ID, task);
    this.count(task, 1);
  }

  unbook(taskId: string): void {
    const task = this.#tasks.get(taskId);
    if (!task) return;
    this.#tasks.delete(taskId);
    this.count(task, -1);
  }

  /** Adds (1) or takes away (-1) a task's weight without booking it. */
  count(task: Task, sign: 1 | -1): void {
    this.countWanted(task, sign);
    this.countHeld(task, sign);
  }

  /** The part that the spread sees. */
  countWanted(task: Task, sign: 1 | -1): void {
    if (compareStates(task.DesiredState, "complete") > 0) return;
    this.active += sign;
    add(this.#perService, task.ServiceID ?? "", sign);
  }

  /** Reservations, host ports, generic resources. */
  countHeld(task: Task, sign: 1 | -1): void {
    const reserved = task.Spec.Resources?.Reservations;
    if (reserved) {
      this.#nanoCpus += sign * (reserved.NanoCPUs ?? 0);
      this.#memory += sign * (reserved.MemoryBytes ?? 0);
    }
    for (const port of hostPortsOf(task)) add(this.#hostPorts, port, sign);
    for (const resource of task.GenericResources ?? NONE) {
      const { NamedResourceSpec: named, DiscreteResourceSpec: discrete } = resource;
      if (named) add(this.#generic, nameKey(named.Kind, named.Value), sign);
      else add(this.#generic, discrete?.Kind ?? "", sign * (discrete?.Value ?? 0));
    }
  }

  /** How many of a kind of generic resource are free. */
  freeGeneric(kind: string): number {
    return this.#freeNames(kind).length + this.#freeCount(kind);
  }

  #freeCount(kind: string): number {
    let count = -(this.#generic.get(kind) ?? 0);
    for (const { DiscreteResourceSpec: discrete } of this.#offered()) {
      if (discrete?.Kind === kind) count += discrete.Value ?? 0;
    }
    return count;
  }

  #freeNames(kind: string): string[] {
    const names: string[] = [];
    for (const { NamedResourceSpec: named } of this.#offered()) {
      if (named?.Kind !== kind) continue;
      if (!this.#generic.has(nameKey(kind, named.Value))) names.push(named.Value ?? "");
    }
    return names.sort();
  }

  #offered(): readonly GenericResource[] {
    return this.node.Description?.Resources?.GenericResources ?? NONE;
  }

  /** What a task gets of what it asks for: names where the node has names, counts otherwise. */
  claim(task: Task): GenericResource[] {
    return (task.Spec.Resources?.Reservations?.GenericResources ?? NONE).flatMap(
      (wanted): GenericResource[] => {
        const { Kind: kind = "", Value: value = 0 } = wanted.DiscreteResourceSpec ?? {};
        const names = this.#freeNames(kind).slice(0, value);
        const named = names.map((name) => ({ NamedResourceSpec: { Kind: kind, Value: name } }));
        const rest = value - names.length;
        return rest > 0 ? [...named, { DiscreteResourceSpec: { Kind: kind, Value: rest } }] : named;
      },
    );
  }

  noteFailure(task: Task): void {
    const atMs = timeMs(task.Status.AppliedAt ?? task.Status.Timestamp);
    for (const path of missingPaths(task)) {
      if (this.#missing.size >= MAX_MISSING_PATHS) this.#missing.clear();
      this.#missing.set(path, Math.max(this.#missing.get(path) ?? 0, atMs + FAILURE_WINDOW_MS));
    }
    const key = versionKey(task);
    const times = this.#failures.get(key) ?? [];
    times.push(atMs);
    if (times.length > MAX_FAILURES_KEPT) times.shift();
    this.#failures.set(key, times);
  }

  /** Whether a task failed lately because the node does not have this path of its host. */
  lacksPath(path: string, nowMs: number): boolean {
    return (this.#missing.get(path) ?? 0) > nowMs;
  }

  /** Failures of a service's spec version within the window. */
  failuresOf(version: string, nowMs: number): number {
    if (this.#failures.size === 0) return 0;
    if (this.#failures.size > MAX_FAILING_SERVICES) this.#forgetFailures(nowMs);
    const times = this.#failures.get(version);
    if (!times) return 0;
    return times.reduce((count, at) => at > nowMs - FAILURE_WINDOW_MS ? count + 1 : count, 0);
  }

  #forgetFailures(nowMs: number): void {
    for (const [key, times] of this.#failures) {
      if (times.every((at) => at <= nowMs - FAILURE_WINDOW_MS)) this.#failures.delete(key);
    }
  }
}

const NONE: readonly never[] = [];

/** Whether a task weighs on its node. */
export function isBooked(task: Task): boolean {
  return task.NodeID !== undefined && !isTerminal(task.Status.State) &&
    compareStates(task.Status.State, "assigned") >= 0;
}

/** Whether a task ended in a way that speaks against its node. */
export function isNodeFailure(task: Task): boolean {
  return (task.Status.State === "failed" || task.Status.State === "rejected") && !isEvicted(task);
}

/** Host paths that a task is bound to, as its spec has them, templates included. */
export function bindSources(task: Task): string[] {
  return (task.Spec.ContainerSpec?.Mounts ?? NONE).flatMap(({ Type, Source, BindOptions }) =>
    (Type ?? "bind") === "bind" && Source !== undefined && !BindOptions?.CreateMountpoint
      ? [Source]
      : []
  );
}

/** Which of them the node turned out not to have, in the engine's words. */
function missingPaths(task: Task): string[] {
  const path = /bind source path does not exist: (\/.*)/.exec(task.Status.Err ?? "")?.[1]?.trim();
  if (path === undefined) return [];
  return bindSources(task).filter((source) => source === path || templateMatches(source, path));
}

function templateMatches(source: string, path: string): boolean {
  if (!source.includes("{{")) return false;
  const parts = source.split(/\{\{.*?\}\}/).map((part) =>
    part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  );
  return new RegExp(`^${parts.join(".*")}$`).test(path);
}

/** Service and spec version: failures of an older spec say nothing about a newer one. */
export function versionKey(task: Task): string {
  return `${task.ServiceID ?? task.ID}/${task.SpecVersion?.Index ?? 0}`;
}

export function hostPortsOf(task: Task): readonly string[] {
  const ports = task.EndpointSpec?.Ports;
  if (!ports || ports.length === 0) return NONE;
  return ports.filter(isHostPort).map((port) => `${port.PublishedPort}/${port.Protocol ?? "tcp"}`);
}

function isHostPort(port: PortConfig): boolean {
  return port.PublishMode === "host" && (port.PublishedPort ?? 0) > 0;
}

function nameKey(kind: string | undefined, name: string | undefined): string {
  return `${kind ?? ""}=${name ?? ""}`;
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
