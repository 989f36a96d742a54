import { assert } from "../../src/base/assert.ts";
import { matches, parseConstraints } from "../../src/model/constraint.ts";
import { updateConfigOf } from "../../src/model/defaults.ts";
import { modeOf, replicasOf } from "../../src/model/service.ts";
import type { Service } from "../../src/model/service.ts";
import type { GenericResource } from "../../src/model/service_spec.ts";
import { compareStates, isTerminal } from "../../src/model/task_state.ts";
import type { Task } from "../../src/model/task.ts";
import { slotName } from "../../src/model/task.ts";
import type { Applied } from "../../src/model/view.ts";
import type { MemoryStore } from "../../src/core/store/memory_store.ts";

/**
 * Watches every applied change from outside the code under test and throws at the first that breaks a
 * rule of orchestration.
 */
export class OrchestrationChecker {
  readonly #store: MemoryStore;
  /** Tasks that ran on a node when it was lost, or were given up: they may run beside their successor. */
  readonly #strays = new Set<string>();

  /**
   * Slots with a move, which starts first, until they are down to one task: what took part in it may
   * outlive the task that was to be moved, as when the new task's node is drained meanwhile.
   */
  readonly #moving = new Set<string>();

  /** Services whose updates or rollbacks may have two programs in a slot. */
  readonly #startingFirst = new Set<string>();

  constructor(store: MemoryStore) {
    this.#store = store;
    store.onApply((changes) => {
      for (const change of changes) this.#check(change);
      const slots = new Set<string>();
      const nodes = new Set<string>();
      for (const { table, object, op } of changes) {
        if (table !== "task" || op === "remove") continue;
        const task = object as Task;
        slots.add(`${task.ServiceID}|${placeOf(task)}`);
        if (task.NodeID) nodes.add(task.NodeID);
      }
      for (const slot of slots) this.#checkSlot(slot);
      for (const node of nodes) this.#checkNode(node);
    });
  }

  #check({ table, object, previous, op }: Applied): void {
    if (table === "service" && op !== "remove") this.#noteOrder(object as Service);
    if (table === "node") {
      const node = object as Applied<"node">["object"];
      if (op !== "remove" && node.Status.State !== "down") return;
      for (const task of this.#store.tasksOfNode(node.ID)) {
        if (!isTerminal(task.Status.State)) this.#strays.add(task.ID);
      }
      return;
    }
    if (table !== "task" || op !== "update") return;
    const task = object as Task;
    const before = previous as Task;
    assert(
      compareStates(before.Status.State, task.Status.State) <= 0,
      `${task.ID} went back from ${before.Status.State} to ${task.Status.State}`,
    );
    assert(
      compareStates(before.DesiredState, task.DesiredState) <= 0,
      `${task.ID} is desired ${task.DesiredState} after ${before.DesiredState}`,
    );
    // The managers sent it away: its container ends without being waited for.
    if (task.Status.State === "rejected" && before.Status.State !== "rejected") {
      this.#strays.add(task.ID);
    }
  }

  /** Outside start-first no two programs of one slot run at once. */
  #checkSlot(slot: string): void {
    const [serviceId = "", place] = slot.split("|");
    const tasks = [...this.#store.tasksOfService(serviceId)].filter((task) =>
      placeOf(task) === place && !isTerminal(task.Status.State) && !this.#strays.has(task.ID)
    );
    // The successor of a task that is to be moved may itself be sent on before any of them runs.
    if (tasks.length < 2) this.#moving.delete(slot);
    else if (tasks.some(({ Relocate }) => Relocate)) this.#moving.add(slot);
    const programs = tasks.filter(hasProgram);
    if (programs.length < 2 || this.#moving.has(slot)) return;
    if (this.#startingFirst.has(serviceId)) return;
    throw new Error(`two tasks run in ${slotName(programs[0]!)}: ${programs.map(({ ID }) => ID)}`);
  }

  /** A service that is removed in the middle of an update is still known to start first. */
  #noteOrder({ ID, Spec }: Service): void {
    const orders = [updateConfigOf(Spec, false).Order, updateConfigOf(Spec, true).Order];
    if (orders.includes("start-first")) this.#startingFirst.add(ID);
    else this.#startingFirst.delete(ID);
  }

  /** What runs on a node reserves no more than the node has. */
  #checkNode(nodeId: string): void {
    const node = this.#store.get("node", nodeId);
    const offered = node?.Description?.Resources;
    let cpus = 0;
    let memory = 0;
    const claimed = new Map<string, number>();
    const ports = new Set<number>();
    for (const task of this.#store.tasksOfNode(nodeId)) {
      if (!hasProgram(task) || this.#strays.has(task.ID)) continue;
      const { NanoCPUs = 0, MemoryBytes = 0, GenericResources = [] } =
        task.Spec.Resources?.Reservations ?? {};
      cpus += NanoCPUs;
      memory += MemoryBytes;
      let missing = GenericResources.reduce((n, g) => n + (g.DiscreteResourceSpec?.Value ?? 0), 0);
      for (const resource of task.GenericResources ?? []) {
        const [key, count] = genericKey(resource);
        claimed.set(key, (claimed.get(key) ?? 0) + count);
        missing -= count;
      }
      assert(missing === 0, `${task.ID} runs with ${missing} generic resources too few`);
      for (const port of task.EndpointSpec?.Ports ?? []) {
        assert(!ports.has(port.PublishedPort!), `port ${port.PublishedPort} twice on ${nodeId}`);
        ports.add(port.PublishedPort!);
      }
    }
    assert(
      cpus <= (offered?.NanoCPUs ?? 0),
      `${nodeId} has ${cpus} of ${offered?.NanoCPUs} booked`,
    );
    assert(
      memory <= (offered?.MemoryBytes ?? 0),
      `${nodeId} has ${memory} bytes of ${offered?.MemoryBytes} booked`,
    );
    const offers = new Map<string, number>();
    for (const resource of offered?.GenericResources ?? []) {
      const [key, count] = genericKey(resource);
      offers.set(key, (offers.get(key) ?? 0) + count);
    }
    for (const [key, count] of claimed) {
      assert(count <= (offers.get(key) ?? 0), `${nodeId} has ${count} of ${key} booked`);
    }
  }
}

function hasProgram(task: Task): boolean {
  return compareStates(task.Status.State, "starting") >= 0 && !isTerminal(task.Status.State);
}

/** One of a name, or so many of a kind. */
function genericKey(
  { NamedResourceSpec, DiscreteResourceSpec }: GenericResource,
): [string, number] {
  return NamedResourceSpec
    ? [`${NamedResourceSpec.Kind}=${NamedResourceSpec.Value}`, 1]
    : [DiscreteResourceSpec?.Kind ?? "", DiscreteResourceSpec?.Value ?? 0];
}

function placeOf(task: Task): string {
  return String(task.Slot ?? task.NodeID);
}

/**
 * What is not as the service wants it, in words; empty when all is well. Nothing is expected of nodes that
 * are `dead`, but that others do their work.
 */
export function deviations(
  store: MemoryStore,
  service: Service,
  dead: ReadonlySet<string> = new Set(),
): string[] {
  const all = [...store.tasksOfService(service.ID)];
  const tasks = all.filter(({ NodeID }) => !dead.has(NodeID ?? ""));
  const live = tasks.filter((task) =>
    compareStates(task.DesiredState, "complete") <= 0 && !isTerminal(task.Status.State)
  );
  const wrong: string[] = [];
  const expect = (ok: boolean, sentence: string) => {
    if (!ok) wrong.push(`${service.ID}: ${sentence}`);
  };
  const places = new Set(live.map(placeOf));
  expect(places.size === live.length, "a slot has two live tasks");
  for (const task of tasks) {
    expect(
      isTerminal(task.Status.State) || live.includes(task),
      `${task.ID} still ${task.Status.State}, desired ${task.DesiredState}`,
    );
  }
  switch (modeOf(service.Spec)) {
    case "replicated":
      expect(live.length === replicasOf(service.Spec), `${live.length} live tasks`);
      for (const { ID, Status } of live) {
        expect(Status.State === "running", `${ID} ${Status.State}`);
      }
      break;
    case "global": {
      const constraints = parseConstraints(service.Spec.TaskTemplate?.Placement?.Constraints ?? []);
      const fitting = [...store.all("node")].filter((node) =>
        node.Spec.Availability === "active" && !dead.has(node.ID) &&
        constraints.every((c) => matches(c, node))
      );
      expect(live.length === fitting.length, `${live.length} tasks on ${fitting.length} nodes`);
      for (const node of fitting) expect(places.has(node.ID), `nothing on ${node.ID}`);
      for (const { ID, Status } of live) {
        expect(Status.State === "running", `${ID} ${Status.State}`);
      }
      break;
    }
    case "replicated-job": {
      const total = service.Spec.Mode?.ReplicatedJob?.TotalCompletions ?? 1;
      const done = new Set(
        all.filter((task) =>
          task.Status.State === "complete" &&
          task.JobIteration?.Index === service.JobStatus?.JobIteration.Index
        ).map((task) => task.Slot),
      );
      expect(done.size === total, `${done.size} of ${total} completions`);
      expect(live.length === 0, `${live.length} tasks still live`);
      break;
    }
    case "global-job":
      expect(live.length === 0, `${live.length} tasks still live`);
      break;
  }
  return wrong;
}
