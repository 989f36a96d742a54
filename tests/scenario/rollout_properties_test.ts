/** Random roll-outs: what they may cost, and how they end. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isDirty } from "../../src/core/orchestrator/dirty.ts";
import type { ServiceSpec, TaskSpec } from "../../src/model/service_spec.ts";
import { compareStates, isTerminal } from "../../src/model/task_state.ts";
import {
  clusterWith,
  giveRoom,
  HEAL_MS,
  NODES,
  service,
  takeTurns,
  updateConfig,
  workOf,
} from "../support/random_orchestration.ts";

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
        takeTurns(cluster, picks);
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
        takeTurns(cluster, picks);
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

/** What may come between an update or a drain and its end, images that cannot be had included. */
const interruption = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({ do: fc.constant("step" as const), pick: fc.nat({ max: 1000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("image" as const),
      to: fc.constantFrom("good:1", "good:2", "good:3", "bad:1"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.integer({ min: 100, max: 6000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("node" as const),
      // The last one stays, so that there is always somewhere to go.
      name: fc.constantFrom(...NODES.slice(0, -1)),
      availability: fc.constantFrom("drain" as const, "active" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "force" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "leader" as const }) },
);

Deno.test("whatever comes between an update or a drain and its end, no more is lost than the parallelism", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      updateConfig.filter(({ Parallelism }) => Parallelism > 0),
      fc.array(interruption, { minLength: 60, maxLength: 300 }),
      (replicas, config, events) => {
        const cluster = clusterWith([{
          Mode: { Replicated: { Replicas: replicas } },
          TaskTemplate: { ContainerSpec: { Image: "good:1" } },
          UpdateConfig: config,
          RollbackConfig: { ...config, FailureAction: "pause" },
        }]);
        cluster.settleWithAgents();
        const least = config.Order === "start-first"
          ? replicas
          : Math.max(0, replicas - config.Parallelism);
        cluster.store.onApply(() => {
          const running = cluster.tasks("s0").filter(({ Status }) => Status.State === "running");
          assert.ok(running.length >= least, `${running.length} run, ${least} should`);
        });
        const change = (more: (template: TaskSpec) => TaskSpec) =>
          cluster.updateService("s0", (spec) => ({
            ...spec,
            TaskTemplate: more(spec.TaskTemplate ?? {}),
          }));
        const use = (Image: string) =>
          change((template) => ({ ...template, ContainerSpec: { Image } }));
        let forced = 0;
        for (const event of events) {
          if (event.do === "image") use(event.to);
          else if (event.do === "force") {
            change((template) => ({ ...template, ForceUpdate: ++forced }));
          } else if (event.do === "leader") cluster.changeLeader();
          else if (event.do === "wait") cluster.nowMs += event.ms;
          else if (event.do === "node") {
            cluster.updateNode(event.name, (node) => ({
              ...node,
              Spec: { ...node.Spec, Availability: event.availability },
            }));
          } else {
            const tasks = cluster.tasks();
            const task = tasks[event.pick % tasks.length];
            if (task) cluster.agentStep(task.ID, workOf);
            cluster.look();
          }
        }
        use("good:4");
        cluster.advance(HEAL_MS);
        assert.equal(cluster.service("s0").UpdateStatus?.State, "completed");
        for (const { NodeID, Status } of cluster.tasks("s0")) {
          if (Status.State !== "running") continue;
          assert.equal(cluster.store.get("node", NodeID!)?.Spec.Availability, "active");
        }
      },
    ),
    { numRuns: 60 },
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
