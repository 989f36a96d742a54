/** Random services, nodes and events against rules that hold for every one of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isDirty } from "../../src/core/orchestrator/dirty.ts";
import { DEFAULT_MOVES_PER_MINUTE, relocate } from "../../src/core/orchestrator/relocate.ts";
import { planRebalance } from "../../src/core/scheduler/rebalance.ts";
import { Scheduler } from "../../src/core/scheduler/scheduler.ts";
import { modeOf } from "../../src/model/service.ts";
import type { GenericResource, ServiceSpec } from "../../src/model/service_spec.ts";
import { compareStates, isTerminal } from "../../src/model/task_state.ts";
import type { Task } from "../../src/model/task.ts";
import { deviations, OrchestrationChecker } from "../support/orchestration_checker.ts";
import { TestCluster } from "../support/test_cluster.ts";
import type { Work } from "../support/test_cluster.ts";

const SECOND_NS = 1_000_000_000;
const GIB = 1024 ** 3;
const NODES = ["n1", "n2", "n3", "n4"];
/** Half of the nodes name theirs, the others count them. */
const gpusOf = (node: number): GenericResource[] =>
  node % 2
    ? ["a", "b", "c"].map((Value) => ({ NamedResourceSpec: { Kind: "gpu", Value } }))
    : [{ DiscreteResourceSpec: { Kind: "gpu", Value: 2 } }];
/** Long enough for every restart delay, back-off and monitor that the generators make. */
const HEAL_MS = 30 * 60_000;

const image = fc.constantFrom("good:1", "good:2", "good:3", "bad:1", "crash:1");

const updateConfig = fc.record({
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

const service: fc.Arbitrary<ServiceSpec> = fc.record({
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

type Event =
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
const event: fc.Arbitrary<Event> = fc.oneof(
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

function workOf(task: Task): Work {
  const [name] = (task.Spec.ContainerSpec?.Image ?? "").split(":");
  return name === "bad" ? "rejected" : name === "crash" ? "fails" : "runs";
}

/** Once faults stop every image is good, and jobs finish. */
function healed(cluster: TestCluster) {
  return (task: Task): Work => {
    const owner = cluster.store.get("service", task.ServiceID ?? "");
    return owner && modeOf(owner.Spec).endsWith("-job") ? "completes" : "runs";
  };
}

function play(cluster: TestCluster, happening: Event): void {
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

/** What a scheduler has booked on each node. */
function loads(scheduler: Scheduler): unknown {
  return [...scheduler.nodes().values()].map((info) => [
    info.node.ID,
    info.active,
    info.freeNanoCpus,
    info.freeMemory,
    info.freeGeneric("gpu"),
    [...info.tasks()].map(({ ID }) => ID).sort(),
    ["s0", "s1", "s2"].map((id) => info.countOf(id)),
    info.usesHostPort("8080/tcp"),
  ]);
}

function fresh(cluster: TestCluster): Scheduler {
  const scheduler = new Scheduler();
  scheduler.resync(cluster.store);
  return scheduler;
}

function clusterWith(services: readonly ServiceSpec[]): TestCluster {
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
function giveRoom(cluster: TestCluster, name: string): void {
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

Deno.test("whatever happens, states only rise, slots do not double, nodes are not overbooked; then all converges", () => {
  fc.assert(
    fc.property(
      fc.array(service, { minLength: 1, maxLength: 3 }),
      fc.array(event, { maxLength: 120, size: "max" }),
      (services, events) => {
        const cluster = clusterWith(services);
        for (const happening of events) play(cluster, happening);
        assert.deepEqual(loads(cluster.scheduler), loads(fresh(cluster)));
        for (const name of NODES) {
          giveRoom(cluster, name);
          cluster.updateNode(name, (node) => ({
            ...node,
            Spec: { Labels: { zone: "a" }, Role: "worker", Availability: "active" },
            Status: { State: "ready" },
          }));
        }
        // Constraints and ports that no node can meet would not let anything converge.
        for (const { ID } of [...cluster.store.all("service")]) {
          cluster.updateService(ID, ({ EndpointSpec: _, ...spec }) => ({
            ...spec,
            TaskTemplate: { ...spec.TaskTemplate, Placement: {} },
          }));
        }
        cluster.advance(HEAL_MS, () => cluster.settleWithAgents(healed(cluster)));
        const wrong = [...cluster.store.all("service")].flatMap((s) =>
          deviations(cluster.store, s)
        );
        assert.deepEqual(wrong, []);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("a move whose successor is sent on, before anything runs, is no slot that doubles", () => {
  const cluster = clusterWith([{
    Mode: { Replicated: { Replicas: 1 } },
    TaskTemplate: { ContainerSpec: { Image: "crash:1" } },
  }]);
  cluster.look();
  play(cluster, { do: "relocate", pick: 0 });
  cluster.look();
  play(cluster, { do: "availability", pick: NODES.indexOf("n2"), to: "drain" });
  cluster.look();
  play(cluster, { do: "step", pick: 0 });
  play(cluster, { do: "steps", count: 4 });
  cluster.advance(HEAL_MS, () => cluster.settleWithAgents(healed(cluster)));
  assert.deepEqual(deviations(cluster.store, cluster.service("s0")), []);
});

Deno.test("an update keeps to its parallelism and, started first, to its capacity", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      updateConfig,
      fc.array(fc.nat({ max: 1000 }), { minLength: 50, maxLength: 300 }),
      (replicas, config, picks) => {
        const cluster = clusterWith([{
          Mode: { Replicated: { Replicas: replicas } },
          TaskTemplate: { ContainerSpec: { Image: "good:1" } },
          UpdateConfig: config,
        }]);
        cluster.settleWithAgents();
        cluster.updateService("s0", (spec) => ({
          ...spec,
          TaskTemplate: { ContainerSpec: { Image: "good:2" } },
        }));
        const limit = config.Parallelism === 0 ? replicas : config.Parallelism;
        const floor = config.Order === "start-first" ? replicas : Math.max(0, replicas - limit);
        const check = () => {
          const tasks = cluster.tasks("s0");
          const running = tasks.filter(({ Status }) => Status.State === "running").length;
          assert.ok(running >= floor, `${running} of ${replicas} running`);
          const underWay =
            tasks.filter((task) =>
              task.Replaces && compareStates(task.DesiredState, "running") <= 0 &&
              compareStates(task.Status.State, "running") < 0
            ).length;
          assert.ok(underWay <= limit, `${underWay} replaced at once, ${limit} allowed`);
        };
        cluster.store.onApply(check);
        for (const at of picks) {
          const tasks = cluster.tasks();
          const task = tasks[at % tasks.length];
          if (task) cluster.agentStep(task.ID);
          cluster.look();
          if (at % 7 === 0) cluster.nowMs += 500;
        }
        cluster.advance(60_000);
        const { UpdateStatus, SpecVersion } = cluster.service("s0");
        assert.equal(UpdateStatus?.State, "completed");
        const live = cluster.tasks("s0").filter(({ Status }) => !isTerminal(Status.State));
        assert.deepEqual(live.map((task) => task.SpecVersion), live.map(() => SpecVersion));
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("an image that cannot be had for a while costs no more than the parallelism, then and afterwards", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.boolean(),
      updateConfig.filter(({ Parallelism }) => Parallelism > 0),
      fc.integer({ min: 0, max: 40 }),
      fc.array(fc.nat({ max: 1000 }), { minLength: 50, maxLength: 300 }),
      (replicas, global, config, outageSeconds, picks) => {
        const cluster = clusterWith([{
          Mode: global ? { Global: {} } : { Replicated: { Replicas: replicas } },
          TaskTemplate: { ContainerSpec: { Image: "good:1" } },
          UpdateConfig: { ...config, FailureAction: "continue" },
        }]);
        cluster.settleWithAgents();
        const whole = cluster.tasks("s0").length;
        const startFirst = config.Order === "start-first";
        cluster.store.onApply(() => {
          const running = cluster.tasks("s0").filter(({ Status }) => Status.State === "running");
          const staying = running.filter(({ DesiredState }) => DesiredState === "running");
          const [least, most] = startFirst
            ? [whole, whole + config.Parallelism]
            : [Math.max(0, whole - config.Parallelism), whole];
          assert.ok(
            running.length >= least && staying.length <= most,
            `${running.length} run, ${staying.length} shall; ${least} to ${most} should`,
          );
        });
        const to = (Image: string) =>
          cluster.updateService("s0", (spec) => ({
            ...spec,
            TaskTemplate: { ContainerSpec: { Image } },
          }));
        to("bad:1");
        cluster.advance(outageSeconds * 1000, () => cluster.settleWithAgents(workOf));
        // The registry answers again; from here agents and managers take turns at random.
        for (const at of picks) {
          const tasks = cluster.tasks();
          const task = tasks[at % tasks.length];
          if (task) cluster.agentStep(task.ID);
          cluster.look();
          if (at % 7 === 0) cluster.nowMs += 500;
        }
        cluster.advance(HEAL_MS);
        const { UpdateStatus, SpecVersion } = cluster.service("s0");
        assert.equal(UpdateStatus?.State, "completed");
        const live = cluster.tasks("s0").filter(({ Status }) => !isTerminal(Status.State));
        assert.deepEqual(live.map((task) => task.SpecVersion), live.map(() => SpecVersion));
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("a failed update is rolled back to exactly the previous spec", () => {
  fc.assert(
    fc.property(
      service.filter(({ Mode }) => Mode?.Replicated !== undefined || Mode?.Global !== undefined),
      fc.constantFrom("bad:1", "crash:1"),
      fc.array(fc.nat({ max: 1000 }), { maxLength: 100 }),
      (spec, broken, picks) => {
        const before: ServiceSpec = {
          ...spec,
          Name: "s0",
          TaskTemplate: {
            ...spec.TaskTemplate,
            ContainerSpec: { Image: "good:1" },
            Placement: {},
          },
          UpdateConfig: { ...spec.UpdateConfig, FailureAction: "rollback", MaxFailureRatio: 0 },
        };
        const { EndpointSpec: _, ...plain } = before;
        const cluster = clusterWith([]);
        for (const name of NODES) giveRoom(cluster, name);
        cluster.addService(plain);
        cluster.settleWithAgents(workOf);
        const stored = cluster.service("s0").Spec;
        const count = cluster.tasks("s0").length;
        // An image that cannot be had stops nothing that runs.
        if (broken === "bad:1") {
          cluster.store.onApply(() => {
            const running = cluster.tasks("s0").filter(({ Status }) => Status.State === "running");
            assert.ok(running.length >= count, `${running.length} of ${count} running`);
          });
        }
        cluster.updateService("s0", (old) => ({
          ...old,
          TaskTemplate: { ...old.TaskTemplate, ContainerSpec: { Image: broken } },
        }));
        for (const at of picks) {
          const tasks = cluster.tasks();
          const task = tasks[at % Math.max(1, tasks.length)];
          if (task) cluster.agentStep(task.ID, workOf);
          if (at % 3 === 0) cluster.look();
        }
        cluster.advance(10 * 60_000, () => cluster.settleWithAgents(workOf));
        const after = cluster.service("s0");
        assert.deepEqual(after.Spec, count === 0 ? after.Spec : stored);
        if (count === 0) return;
        assert.equal(after.UpdateStatus?.State, "rollback_completed");
        assert.equal(after.PreviousSpec, undefined);
        const live = cluster.tasks("s0").filter(({ Status }) => !isTerminal(Status.State));
        assert.equal(live.length, count);
        for (const task of live) {
          assert.equal(isDirty(after, task, cluster.store.get("node", task.NodeID!)), false);
          assert.equal(task.Status.State, "running");
        }
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("a job's slots complete once each, whatever fails or is lost", () => {
  fc.assert(
    fc.property(
      fc.record({
        TotalCompletions: fc.integer({ min: 1, max: 6 }),
        MaxConcurrent: fc.integer({ min: 1, max: 4 }),
      }),
      fc.array(event.filter((e) => !["image", "scale", "rollback"].includes(e.do)), {
        maxLength: 100,
        size: "max",
      }),
      image,
      (job, events, Image) => {
        const cluster = clusterWith([{
          Mode: { ReplicatedJob: job },
          TaskTemplate: { ContainerSpec: { Image } },
        }]);
        const live = () =>
          cluster.tasks("s0").filter((task) =>
            task.DesiredState === "complete" && !isTerminal(task.Status.State)
          ).length;
        for (const happening of events) {
          play(cluster, happening);
          assert.ok(live() <= job.MaxConcurrent, `${live()} at once`);
        }
        for (const name of NODES) {
          cluster.updateNode(name, (node) => ({
            ...node,
            Spec: { ...node.Spec, Availability: "active" },
            Status: { State: "ready" },
          }));
        }
        cluster.advance(HEAL_MS, () => cluster.settleWithAgents(healed(cluster)));
        assert.deepEqual(deviations(cluster.store, cluster.service("s0")), []);
        const before = cluster.tasks("s0").length;
        cluster.advance(HEAL_MS, () => cluster.settleWithAgents(healed(cluster)));
        assert.equal(cluster.tasks("s0").length, before, "a finished job was started again");
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("a rebalance comes to an end, evens the nodes out and stops nothing before its successor runs", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      (replicas, before, joining) => {
        const cluster = new TestCluster();
        new OrchestrationChecker(cluster.store);
        for (let i = 0; i < before; i++) cluster.addNode(`n${i}`);
        cluster.addService({
          Name: "s0",
          Mode: { Replicated: { Replicas: replicas } },
          TaskTemplate: { ContainerSpec: { Image: "good:1" } },
        });
        cluster.settleWithAgents();
        for (let i = 0; i < joining; i++) cluster.addNode(`new${i}`);
        cluster.store.onApply(() => {
          const running = cluster.tasks("s0").filter(({ Status }) => Status.State === "running");
          assert.ok(running.length >= replicas);
        });
        const plan = () => planRebalance(cluster.store, { nowMs: cluster.nowMs });
        for (let minute = 0; plan().length > 0; minute++) {
          assert.ok(minute < 20, "the plan does not come to an end");
          const { changes } = relocate(cluster.store, plan(), { nowMs: cluster.nowMs });
          assert.ok(changes.length <= DEFAULT_MOVES_PER_MINUTE);
          cluster.commit(changes);
          cluster.advance(60_000);
        }
        assert.deepEqual(deviations(cluster.store, cluster.service("s0")), []);
        const counts = [...cluster.store.all("node")].map(({ ID }) =>
          cluster.tasks("s0").filter((task) =>
            task.NodeID === ID && task.Status.State === "running"
          ).length
        );
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`);
      },
    ),
    { numRuns: 60 },
  );
});
