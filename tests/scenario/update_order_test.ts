/** The order of one update alone: the managers keep it, whatever becomes of the client that asked. */
import assert from "node:assert/strict";
import { updateService } from "../../src/core/control/services.ts";
import type { ServiceSpec } from "../../src/model/service_spec.ts";
import { TestCluster } from "../support/test_cluster.ts";

const SPEC: ServiceSpec = {
  Name: "web",
  Labels: {},
  TaskTemplate: { ContainerSpec: { Image: "nginx" } },
  Mode: { Replicated: { Replicas: 3 } },
  UpdateConfig: { Parallelism: 1, Order: "stop-first", Delay: 0 },
};

function update(cluster: TestCluster, order?: "start-first"): void {
  cluster.write((tx) => {
    const { ID, Version, Spec } = cluster.service("web");
    const ForceUpdate = (Spec.TaskTemplate?.ForceUpdate ?? 0) + 1;
    updateService({
      tx,
      newId: () => cluster.newId(),
      nowMs: cluster.nowMs,
      randomBytes: (n: number) => new Uint8Array(n),
    } as never, {
      id: ID,
      version: Version.Index,
      spec: { ...Spec, TaskTemplate: { ...Spec.TaskTemplate, ForceUpdate } },
      ...(order ? { order } : {}),
    });
  });
}

/** The fewest tasks that ran at once until the update was over. */
function fewestRunning(cluster: TestCluster): number {
  let fewest = Infinity;
  for (let step = 0; step < 500; step++) {
    cluster.settle();
    const running = cluster.tasks("web").filter(({ Status }) => Status.State === "running");
    fewest = Math.min(fewest, running.length);
    const { UpdateStatus: status } = cluster.service("web");
    if (status?.State === "completed") return fewest;
    const moved = cluster.tasks("web").some(({ ID }) => cluster.agentStep(ID));
    if (!moved) cluster.advance(1_000, () => cluster.settle());
  }
  throw new Error("the update did not end");
}

Deno.test("an update's own order holds to its end, over a change of leader, and not beyond", () => {
  const cluster = new TestCluster();
  for (const id of ["n1", "n2"]) cluster.addNode(id);
  cluster.addService(SPEC);
  cluster.settleWithAgents();
  update(cluster, "start-first");
  cluster.changeLeader();
  assert.equal(fewestRunning(cluster), 3);
  const { Spec, PreviousSpec, UpdateStatus } = cluster.service("web");
  assert.deepEqual(Spec.UpdateConfig, SPEC.UpdateConfig);
  assert.deepEqual(PreviousSpec?.UpdateConfig, SPEC.UpdateConfig);
  assert.equal(UpdateStatus?.Order, undefined);
  update(cluster);
  assert.equal(fewestRunning(cluster), 2, "the next update follows the spec again");
});

Deno.test("an update with an order and nothing to replace ends at once", () => {
  const cluster = new TestCluster();
  cluster.addNode("n1");
  cluster.addService({ ...SPEC, Mode: { Replicated: { Replicas: 0 } } });
  update(cluster, "start-first");
  cluster.settleWithAgents();
  assert.equal(cluster.service("web").UpdateStatus?.State, "completed");
});
