/** Random services and events for the property tests of the orchestrator, and what plays them. */
import fc from "fast-check";
import { relocate } from "../../src/core/orchestrator/relocate.ts";
import { modeOf } from "../../src/model/service.ts";
import type { GenericResource, ServiceSpec } from "../../src/model/service_spec.ts";
import type { Task } from "../../src/model/task.ts";
import { OrchestrationChecker } from "./orchestration_checker.ts";
import { TestCluster } from "./test_cluster.ts";
import type { Work } from "./test_cluster.ts";

const SECOND_NS = 1_000_000_000;
const GIB = 1024 ** 3;
export const NODES = ["n1", "n2", "n3", "n4"];
/** Half of the nodes name theirs, the others count them. */
const gpusOf = (node: number): GenericResource[] =>
  node % 2
    ? ["a", "b", "c"].map((Value) => ({ NamedResourceSpec: { Kind: "gpu", Value } }))
    : [{ DiscreteResourceSpec: { Kind: "gpu", Value: 2 } }];
/** Long enough for every restart delay, back-off and monitor that the generators make. */
export const HEAL_MS = 30 * 60_000;

export const image = fc.constantFrom("good:1", "good:2", "good:3", "bad:1", "crash:1");

export const updateConfig = fc.record({
  Parallelism: fc.integer({ min: 0, max: 3 }),
  Delay: fc.constantFrom(0, 0, 2 * SECOND_NS),
  Monitor: fc.constantFrom(0, 5 * SECOND_NS),
  FailureAction: fc.constantFrom("pause", "continue", "rollback"),
  MaxFailureRatio: fc.constantFrom(0, 0, 0.4),
  Order: fc.constantFrom("stop-first", "start-first"),
});

const mode: fc.Arbitrary<NonNullable<ServiceSpec["Mode"]>> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.integer({ min: 0, max: 6 }).map((n) => ({ Replicated: { Replicas: n } })),
  },
  { weight: 2, arbitrary: fc.constant({ Global: {} }) },
  {
    weight: 2,
    arbitrary: fc.record({
      TotalCompletions: fc.integer({ min: 1, max: 5 }),
      MaxConcurrent: fc.integer({ min: 1, max: 3 }),
    }).map((job) => ({ ReplicatedJob: job })),
  },
  { weight: 1, arbitrary: fc.constant({ GlobalJob: {} }) },
);

export const service: fc.Arbitrary<ServiceSpec> = fc.record({
  mode,
  image,
  update: updateConfig,
  cpus: fc.constantFrom(0, 0, 1e9),
  memory: fc.constantFrom(0, 0, 3 * GIB),
  gpus: fc.constantFrom(0, 0, 0, 1, 2),
  port: fc.constantFrom(0, 0, 0, 8080),
  delay: fc.constantFrom(0, SECOND_NS, 5 * SECOND_NS),
  constraint: fc.constantFrom("", "", "node.labels.zone==a", "node.labels.zone!=a"),
}).map((part): ServiceSpec => {
  const job = part.mode.ReplicatedJob || part.mode.GlobalJob;
  return {
    Mode: part.mode,
    TaskTemplate: {
      ContainerSpec: { Image: part.image },
      RestartPolicy: { Condition: job ? "on-failure" : "any", Delay: part.delay },
      ...(part.cpus || part.memory || part.gpus
        ? {
          Resources: {
            Reservations: {
              NanoCPUs: part.cpus,
              MemoryBytes: part.memory,
              ...(part.gpus
                ? {
                  GenericResources: [{ DiscreteResourceSpec: { Kind: "gpu", Value: part.gpus } }],
                }
                : {}),
            },
          },
        }
        : {}),
      Placement: { Constraints: part.constraint ? [part.constraint] : [] },
    },
    ...(job ? {} : {
      UpdateConfig: part.update,
      RollbackConfig: { ...part.update, FailureAction: "pause" },
    }),
    ...(part.port
      ? {
        EndpointSpec: {
          Ports: [{ TargetPort: 80, PublishedPort: part.port, PublishMode: "host" }],
        },
      }
      : {}),
  };
});

export type Event =
  | { do: "step"; pick: number }
  | { do: "steps"; count: number }
  | { do: "end"; pick: number; state: "failed" | "complete" }
  | { do: "node"; pick: number; state: "down" | "ready" | "unknown" }
  | { do: "availability"; pick: number; to: "active" | "pause" | "drain" }
  | { do: "label"; pick: number; zone: string }
  | { do: "image"; pick: number; to: string }
  | { do: "scale"; pick: number; to: number }
  | { do: "rollback"; pick: number }
  | { do: "relocate"; pick: number }
  | { do: "wait"; seconds: number }
  | { do: "look" | "settle" | "leader" };

const pick = fc.nat({ max: 1000 });
export const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("step" as const), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("steps" as const),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      pick,
      state: fc.constantFrom("failed" as const, "complete" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("node" as const),
      pick,
      state: fc.constantFrom("down" as const, "ready" as const, "unknown" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("availability" as const),
      pick,
      to: fc.constantFrom("active" as const, "pause" as const, "drain" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("label" as const),
      pick,
      zone: fc.constantFrom("a", "b"),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("image" as const), pick, to: image }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("scale" as const),
      pick,
      to: fc.integer({ min: 0, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rollback" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("relocate" as const), pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      seconds: fc.integer({ min: 0, max: 20 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.constantFrom("look" as const, "settle" as const, "leader" as const)
      .map((what) => ({ do: what })),
  },
);

export function workOf(task: Task): Work {
  const [name] = (task.Spec.ContainerSpec?.Image ?? "").split(":");
  return name === "bad" ? "rejected" : name === "crash" ? "fails" : "runs";
}

/** Once faults stop every image is good, and jobs finish. */
export function healed(cluster: TestCluster) {
  return (task: Task): Work => {
    const owner = cluster.store.get("service", task.ServiceID ?? "");
    return owner && modeOf(owner.Spec).endsWith("-job") ? "completes" : "runs";
  };
}

export function play(cluster: TestCluster, happening: Event): void {
  const tasks = cluster.tasks();
  const services = [...cluster.store.all("service")].map(({ ID }) => ID).sort();
  const chosen = <T>(items: readonly T[], at: number): T | undefined => items[at % items.length];
  switch (happening.do) {
    case "step": {
      const task = chosen(tasks, happening.pick);
      if (task) cluster.agentStep(task.ID, workOf);
      return;
    }
    case "steps":
      for (let i = 0; i < happening.count; i++) {
        for (const { ID } of cluster.tasks()) cluster.agentStep(ID, workOf);
        cluster.look();
      }
      return;
    case "end": {
      const running = tasks.filter((task) =>
        task.Status.State === "running" &&
        cluster.store.get("node", task.NodeID ?? "")?.Status.State !== "down"
      );
      const task = chosen(running, happening.pick);
      if (task) cluster.report(task.ID, { State: happening.state });
      return;
    }
    case "node":
      return cluster.setNodeState(chosen(NODES, happening.pick)!, happening.state);
    case "availability":
      return cluster.updateNode(chosen(NODES, happening.pick)!, (node) => ({
        ...node,
        Spec: { ...node.Spec, Availability: happening.to },
      }));
    case "label":
      return cluster.updateNode(chosen(NODES, happening.pick)!, (node) => ({
        ...node,
        Spec: { ...node.Spec, Labels: { zone: happening.zone } },
      }));
    case "image":
      return cluster.updateService(chosen(services, happening.pick)!, (spec) => ({
        ...spec,
        TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: happening.to } },
      }));
    case "scale":
      return cluster.updateService(
        chosen(services, happening.pick)!,
        (spec) =>
          modeOf(spec) === "replicated"
            ? { ...spec, Mode: { Replicated: { Replicas: happening.to } } }
            : spec,
      );
    case "rollback":
      return cluster.rollBack(chosen(services, happening.pick)!);
    case "relocate": {
      const task = chosen(tasks, happening.pick);
      const moves = task ? [{ taskId: task.ID }] : [];
      return cluster.commit(relocate(cluster.store, moves, { nowMs: cluster.nowMs }).changes);
    }
    case "wait":
      cluster.nowMs += happening.seconds * 1000;
      return;
    case "look":
      cluster.look();
      return;
    case "settle":
      return cluster.settle();
    case "leader":
      return cluster.changeLeader();
  }
}

export function clusterWith(services: readonly ServiceSpec[]): TestCluster {
  const cluster = new TestCluster();
  new OrchestrationChecker(cluster.store);
  for (const [i, name] of NODES.entries()) {
    cluster.addNode(name, {
      Spec: { Labels: { zone: i % 2 ? "a" : "b" }, Role: "worker", Availability: "active" },
      Description: {
        Hostname: name,
        Platform: { OS: "linux", Architecture: "x86_64" },
        Resources: { NanoCPUs: 4e9, MemoryBytes: 8 * GIB, GenericResources: gpusOf(i) },
      },
    });
  }
  for (const [i, spec] of services.entries()) cluster.addService({ ...spec, Name: `s${i}` });
  return cluster;
}

/** More than all services of a test can ask for. */
export function giveRoom(cluster: TestCluster, name: string): void {
  // What is claimed by name stays there.
  const many = { DiscreteResourceSpec: { Kind: "gpu", Value: 64 } };
  const GenericResources = [...gpusOf(NODES.indexOf(name)), many];
  cluster.updateNode(name, (node) => ({
    ...node,
    Description: {
      ...node.Description,
      Resources: { NanoCPUs: 64e9, MemoryBytes: 256 * GIB, GenericResources },
    },
  }));
}

/** Agents, each with one step of one task, and the manager take turns; now and then half a second passes. */
export function takeTurns(cluster: TestCluster, picks: readonly number[]): void {
  for (const at of picks) {
    const tasks = cluster.tasks();
    const task = tasks[at % tasks.length];
    if (task) cluster.agentStep(task.ID);
    cluster.look();
    if (at % 7 === 0) cluster.nowMs += 500;
  }
}
