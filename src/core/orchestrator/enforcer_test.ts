import assert from "node:assert/strict";
import { TestCluster } from "../../../tests/support/test_cluster.ts";

Deno.test("a node's change does not reject a successor that waits for what its predecessor holds", () => {
  const cluster = new TestCluster();
  cluster.addNode("n1");
  cluster.addService({
    Name: "web",
    Mode: { Replicated: { Replicas: 1 } },
    TaskTemplate: {
      ContainerSpec: { Image: "good:1" },
      Resources: { Reservations: { NanoCPUs: 3e9 } },
    },
  });
  cluster.settleWithAgents();
  cluster.updateService("web", (spec) => ({
    ...spec,
    TaskTemplate: { ...spec.TaskTemplate, ContainerSpec: { Image: "good:2" } },
  }));
  cluster.settle();
  const states = () => cluster.tasks("web").map(({ Status }) => Status.State);
  assert.deepEqual(states(), ["running", "assigned"]);
  cluster.updateNode("n1", (node) => ({ ...node, Spec: { ...node.Spec, Labels: { a: "b" } } }));
  cluster.settle();
  assert.deepEqual(states(), ["running", "assigned"]);
  // What the node does not have any more still counts.
  cluster.updateNode("n1", (node) => ({
    ...node,
    Description: { ...node.Description, Resources: { NanoCPUs: 2e9 } },
  }));
  cluster.look();
  assert.equal(states()[0], "rejected");
});
