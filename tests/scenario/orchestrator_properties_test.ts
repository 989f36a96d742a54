/** Random services, nodes and events against rules that hold for every one of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DEFAULT_MOVES_PER_MINUTE, relocate } from "../../src/core/orchestrator/relocate.ts";
import { planRebalance } from "../../src/core/scheduler/rebalance.ts";
import { Scheduler } from "../../src/core/scheduler/scheduler.ts";
import { isTerminal } from "../../src/model/task_state.ts";
import { deviations, OrchestrationChecker } from "../support/orchestration_checker.ts";
import {
  clusterWith,
  event,
  giveRoom,
  HEAL_MS,
  healed,
  image,
  NODES,
  play,
  service,
} from "../support/random_orchestration.ts";
import { TestCluster } from "../support/test_cluster.ts";

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
