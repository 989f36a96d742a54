import { assert } from "../../src/base/assert.ts";
import { applyStatusUpdates } from "../../src/core/dispatcher/status_updates.ts";
import { concernsEnforcer, enforce } from "../../src/core/orchestrator/enforcer.ts";
import { orchestrate } from "../../src/core/orchestrator/orchestrate.ts";
import type { Outcome } from "../../src/core/orchestrator/outcome.ts";
import { reap } from "../../src/core/orchestrator/reaper.ts";
import { Scheduler } from "../../src/core/scheduler/scheduler.ts";
import { decodeChanges, encodeChanges } from "../../src/core/store/codec.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import { Transaction } from "../../src/core/store/transaction.ts";
import { timeText } from "../../src/model/meta.ts";
import type { Node } from "../../src/model/node.ts";
import type { Service } from "../../src/model/service.ts";
import { compareStates, isTerminal } from "../../src/model/task_state.ts";
import type { TaskState } from "../../src/model/task_state.ts";
import type { Task, TaskStatus } from "../../src/model/task.ts";
import type { Change } from "../../src/model/view.ts";

export const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Looks without rest that no honest decision needs; more means that two parts undo each other. */
const MAX_ROUNDS = 500;
/** Changes that one transaction takes, as in the control loop. */
const MAX_CHANGES = 200;

/**
 * The leader's deciding cores over a real store, on virtual time, with agents that do what they are told.
 * Every change goes through a transaction and the log's encoding.
 */
export class TestCluster {
  readonly store = new MemoryStore();
  readonly scheduler = new Scheduler();
  nowMs = EPOCH_MS;
  #nextId = 1;
  #wakeAtMs = Infinity;
  readonly #enforce = new Set<string>();

  constructor() {
    this.changeLeader();
    this.store.onApply((changes) => {
      this.scheduler.apply(changes);
      for (const { table, object, previous } of changes) {
        if (table !== "node") continue;
        if (concernsEnforcer(object as Node, previous as Node | undefined)) {
          this.#enforce.add(object.ID);
        }
      }
    });
  }

  /** A leader that knows nothing but the store. */
  changeLeader(): void {
    this.scheduler.resync(this.store);
    for (const { ID } of this.store.all("node")) this.#enforce.add(ID);
  }

  newId(prefix = "t"): string {
    return `${prefix}${String(this.#nextId++).padStart(4, "0")}`;
  }

  /** Runs `change` in one transaction. */
  write(change: (tx: Transaction) => void): void {
    const tx = new Transaction(this.store, this.nowMs);
    change(tx);
    const changes = tx.changes();
    if (changes.length === 0) return;
    this.store.apply(this.store.index + 1, decodeChanges(encodeChanges(changes)));
  }

  commit(changes: readonly Change[]): void {
    for (let i = 0; i < changes.length; i += MAX_CHANGES) {
      this.write((tx) => {
        for (const change of changes.slice(i, i + MAX_CHANGES)) tx.perform(change);
      });
    }
  }

  addNode(id: string, more: Partial<Node> = {}): void {
    this.write((tx) =>
      tx.create("node", {
        ID: id,
        Spec: { Labels: {}, Role: "worker", Availability: "active" },
        Description: {
          Hostname: id,
          Platform: { OS: "linux", Architecture: "x86_64" },
          Resources: { NanoCPUs: 4e9, MemoryBytes: 4 * 1024 ** 3 },
        },
        Status: { State: "ready", Addr: "10.1.0.1" },
        Role: "worker",
        ...more,
      })
    );
  }

  updateNode(id: string, change: (node: Node) => Node): void {
    this.write((tx) => {
      const node = tx.get("node", id);
      if (node) tx.update("node", change(node));
    });
  }

  setNodeState(id: string, state: Node["Status"]["State"]): void {
    this.updateNode(id, (node) => ({ ...node, Status: { ...node.Status, State: state } }));
  }

  addService(spec: Service["Spec"], id = spec.Name!): void {
    const job = spec.Mode?.ReplicatedJob ?? spec.Mode?.GlobalJob;
    this.write((tx) =>
      tx.create("service", {
        ID: id,
        Spec: spec,
        SpecVersion: { Index: 1 },
        ...(job ? { JobStatus: { JobIteration: { Index: 0 } } } : {}),
      })
    );
  }

  /** As the control API stores a changed spec. */
  updateService(id: string, change: (spec: Service["Spec"]) => Service["Spec"]): void {
    this.write((tx) => {
      const service = tx.get("service", id);
      if (!service) return;
      const { UpdateStatus: _, ...rest } = service;
      const version = Math.max(
        service.SpecVersion?.Index ?? 0,
        service.PreviousSpecVersion?.Index ?? 0,
      );
      tx.update("service", {
        ...rest,
        Spec: change(service.Spec),
        PreviousSpec: service.Spec,
        SpecVersion: { Index: version + 1 },
        PreviousSpecVersion: service.SpecVersion ?? { Index: 0 },
        ...(service.JobStatus
          ? { JobStatus: { JobIteration: { Index: service.JobStatus.JobIteration.Index + 1 } } }
          : {}),
      });
    });
  }

  /** A rollback asked for by hand; nothing happens without a previous spec. */
  rollBack(id: string): void {
    this.write((tx) => {
      const service = tx.get("service", id);
      if (!service?.PreviousSpec) return;
      const version = Math.max(
        service.SpecVersion?.Index ?? 0,
        service.PreviousSpecVersion?.Index ?? 0,
      );
      tx.update("service", {
        ...service,
        Spec: service.PreviousSpec,
        PreviousSpec: service.Spec,
        SpecVersion: { Index: version + 1 },
        PreviousSpecVersion: service.SpecVersion ?? { Index: 0 },
        UpdateStatus: { State: "rollback_started", Message: "manually requested rollback" },
      });
    });
  }

  service(id: string): Service {
    const service = this.store.get("service", id);
    assert(service, `no service ${id}`);
    return service;
  }

  tasks(serviceId?: string): Task[] {
    const tasks = serviceId === undefined
      ? this.store.all("task")
      : this.store.tasksOfService(serviceId);
    return [...tasks].sort((a, b) => a.ID < b.ID ? -1 : 1);
  }

  /** Lets every core look once; false when none wanted anything. */
  look(): boolean {
    this.#wakeAtMs = Infinity;
    let changed = false;
    const situation = { view: this.store, nowMs: this.nowMs, newId: () => this.newId() };
    const take = ({ changes, wakeAtMs }: Outcome) => {
      this.#wakeAtMs = Math.min(this.#wakeAtMs, wakeAtMs ?? Infinity);
      if (changes.length === 0) return;
      changed = true;
      this.commit(changes);
    };
    for (const id of [...this.#enforce].sort()) {
      this.#enforce.delete(id);
      take(enforce(situation, id));
    }
    const services = new Set([...this.store.all("service")].map(({ ID }) => ID));
    for (const task of this.store.all("task")) if (task.ServiceID) services.add(task.ServiceID);
    for (const id of [...services].sort()) take(orchestrate(situation, id));
    take(this.scheduler.schedule(this.store, this.nowMs));
    for (const id of [...services].sort()) take(reap(situation, id));
    return changed;
  }

  /** Looks until nothing changes, agents doing nothing. */
  settle(): void {
    for (let round = 0; this.look(); round++) {
      assert(round < MAX_ROUNDS, "the control loops do not come to rest");
    }
  }

  /** Settles and lets agents work until nothing changes without time passing. */
  settleWithAgents(outcome: (task: Task) => Work = () => "runs"): void {
    for (let round = 0;; round++) {
      assert(round < MAX_ROUNDS, "control loops and agents do not come to rest");
      this.settle();
      let moved = false;
      for (const task of this.tasks()) if (this.agentStep(task.ID, outcome)) moved = true;
      if (!moved) return;
    }
  }

  /** Milliseconds until a core wants to look again; Infinity when none does. */
  untilWakeMs(): number {
    return this.#wakeAtMs - this.nowMs;
  }

  /** Lets time pass, waking the cores at their own deadlines. */
  advance(ms: number, work: () => void = () => this.settleWithAgents()): void {
    const end = this.nowMs + ms;
    work();
    for (let round = 0; this.#wakeAtMs <= end; round++) {
      assert(round < MAX_ROUNDS * 10, "the cores wake without end");
      this.nowMs = Math.max(this.nowMs, this.#wakeAtMs);
      work();
    }
    this.nowMs = end;
    work();
  }

  /** What the node's agent says of a task. */
  report(taskId: string, status: Omit<TaskStatus, "Timestamp">): void {
    const task = this.store.get("task", taskId);
    if (!task?.NodeID) return;
    this.commit(
      applyStatusUpdates(this.store, task.NodeID, [{
        taskId,
        status: { ...status, Timestamp: timeText(this.nowMs) },
      }], this.nowMs),
    );
  }

  /** One step of one task by its node's agent; false when there was nothing to do. */
  agentStep(taskId: string, outcome: (task: Task) => Work = () => "runs"): boolean {
    const task = this.store.get("task", taskId);
    if (!task?.NodeID || this.store.get("node", task.NodeID)?.Status.State === "down") return false;
    const next = nextState(task, outcome(task));
    if (!next) return false;
    this.report(task.ID, next);
    return true;
  }
}

/** What becomes of a task's program: `stays` neither ends nor gets anywhere. */
export type Work = "runs" | "rejected" | "fails" | "completes" | "stays";

/** The life of a task on its node, one state at a time (`core/task/step.ts` without a container). */
function nextState(task: Task, work: Work): Omit<TaskStatus, "Timestamp"> | undefined {
  const { State } = task.Status;
  const to = (state: TaskState, message: string, err?: string) => ({
    State: state,
    Message: message,
    ...(err === undefined ? {} : { Err: err }),
  });
  if (isTerminal(State) || compareStates(State, "assigned") < 0) return undefined;
  if (compareStates(task.DesiredState, "shutdown") >= 0) return to("shutdown", "shutdown");
  if (work === "stays") return undefined;
  switch (State) {
    case "assigned":
      return to("accepted", "accepted");
    case "accepted":
      return to("preparing", "preparing");
    case "preparing":
      return work === "rejected"
        ? to("rejected", "preparing", "No such image")
        : to("ready", "prepared");
    case "ready":
      return task.DesiredState === "ready" ? undefined : to("starting", "starting");
    case "starting":
      return work === "fails"
        ? to("failed", "starting", "task: non-zero exit (1)")
        : to("running", "started");
    case "running":
      return work === "completes" ? to("complete", "finished") : undefined;
    default:
      return undefined;
  }
}
