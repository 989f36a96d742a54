import type { Backend } from "../../src/api/backend.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import type { Node } from "../../src/model/node.ts";
import type { Service } from "../../src/model/service.ts";
import type { TaskState } from "../../src/model/task_state.ts";
import type { Task } from "../../src/model/task.ts";
import type { Change } from "../../src/model/view.ts";
import { FleetError } from "../../src/base/errors.ts";

const TIME = "2026-01-01T00:00:00.000Z";

const meta = (ID: string) => ({
  ID,
  Version: { Index: 0 },
  CreatedAt: TIME,
  UpdatedAt: TIME,
});

/** A cluster that is only a store, as the API sees it: for tests and benchmarks of what shows it. */
export class FakeCluster {
  readonly store = new MemoryStore();
  /** What was asked of it, in order. */
  readonly calls: { method: string; args: unknown; actor: string | undefined }[] = [];
  #index = 0;

  apply(...changes: Change[]): void {
    this.store.apply(++this.#index, changes);
  }

  /** `nodes` nodes and `services` services, with `tasks` running tasks spread over both. */
  fill({ nodes, services, tasks }: { nodes: number; services: number; tasks: number }): void {
    const id = (kind: string, n: number) => `${kind}${String(n).padStart(25 - kind.length, "0")}`;
    const changes: Change[] = [{ op: "create", table: "cluster", object: cluster }];
    for (let i = 0; i < nodes; i++) {
      changes.push({ op: "create", table: "node", object: makeNode(id("n", i), `node-${i}`) });
    }
    for (let i = 0; i < services; i++) {
      const replicas = Math.ceil((tasks - i) / services);
      const service = makeService(id("s", i), `service-${i}`, replicas);
      changes.push({ op: "create", table: "service", object: service });
    }
    for (let i = 0; i < tasks; i++) {
      const service = i % services;
      changes.push({
        op: "create",
        table: "task",
        object: makeRunningTask(id("t", i), {
          service: id("s", service),
          name: `service-${service}`,
          slot: Math.floor(i / services) + 1,
          node: id("n", i % nodes),
        }),
      });
    }
    this.apply(...changes);
  }

  setState(taskId: string, state: TaskState): void {
    const task = this.store.get("task", taskId)!;
    const object = { ...task, Status: { ...task.Status, State: state } };
    this.apply({ op: "update", table: "task", object });
  }

  backend(): Backend {
    const unserved = () => Promise.reject(new FleetError("unavailable", "not in this test"));
    const first = () => [...this.store.all("node")][0]?.ID ?? "";
    const managers = () => ({
      leaderId: first(),
      managers: [{ nodeId: first(), addr: "10.0.0.1:2377", reachable: true, voter: true }],
    });
    return {
      build: { version: "0", commit: "0", buildKind: "test", denoVersion: "0" },
      localState: () => ({
        state: "active",
        nodeId: first(),
        nodeAddr: "10.0.0.1",
        manager: true,
        error: "",
        remoteManagers: [],
      }),
      managerState: managers,
      managersHeard: () => Promise.resolve(managers()),
      read: (look: (view: MemoryStore) => unknown) =>
        Promise.resolve({ value: look(this.store), stale: false }),
      call: (method: string, args: unknown, _signal: unknown, actor?: string) => {
        this.calls.push({ method, args, actor });
        return Promise.resolve(null);
      },
      watch: (listener: Parameters<MemoryStore["onApply"]>[0]) => this.store.onApply(listener),
      askTask: unserved,
      log: () => {},
    } as unknown as Backend;
  }
}

const cluster = {
  ...meta("c000000000000000000000000"),
  Spec: { Name: "default" },
  RootCA: { CACert: "", JoinTokens: { Worker: "", Manager: "" } },
};

function makeNode(id: string, name: string): Node {
  return {
    ...meta(id),
    Spec: { Role: "worker", Availability: "active" },
    Description: { Hostname: name, Resources: { NanoCPUs: 8e9, MemoryBytes: 32e9 } },
    Status: { State: "ready", Addr: "10.0.0.1" },
    Role: "worker",
  };
}

function makeService(id: string, name: string, replicas: number): Service {
  return {
    ...meta(id),
    Spec: {
      Name: name,
      Mode: { Replicated: { Replicas: replicas } },
      TaskTemplate: { ContainerSpec: { Image: "nginx:1.27", Env: ["SECRET_OF_NOBODY=1"] } },
    },
  };
}

function makeRunningTask(
  id: string,
  { service, name, slot, node }: { service: string; name: string; slot: number; node: string },
): Task {
  return {
    ...meta(id),
    ServiceID: service,
    ServiceAnnotations: { Name: name },
    Slot: slot,
    NodeID: node,
    Spec: { ContainerSpec: { Image: "nginx:1.27" } },
    DesiredState: "running",
    Status: {
      State: "running",
      Timestamp: TIME,
      ContainerStatus: { ContainerID: id.padEnd(64, "0").slice(0, 64) },
    },
  };
}
