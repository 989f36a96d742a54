/** The wishes for an even spread, carried out over a real store with agents that do as told. */
import assert from "node:assert/strict";
import { requestRebalance } from "../../src/core/control/rebalance.ts";
import { updatePolicy } from "../../src/core/control/policy.ts";
import { rebalanceReconciler, SETTLE_MS } from "../../src/roles/manager/rebalancer.ts";
import { clusterOf } from "../../src/model/view.ts";
import type { Policy } from "../../src/model/cluster.ts";
import * as roots from "../../src/adapters/crypto/root_ca.ts";
import { TestCluster } from "../support/test_cluster.ts";

/** A cluster whose leader also runs the rebalancer. */
class World {
  readonly cluster = new TestCluster();
  readonly #reconciler = rebalanceReconciler({
    next: () => 0.5,
    bytes: (n: number) => new Uint8Array(n).fill(this.#ids++),
  } as never);
  readonly #keys = new Set<string>();
  #ids = 1;
  #wakeAtMs = Infinity;

  constructor(nodes: number) {
    this.cluster.write((tx) =>
      tx.create("cluster", {
        ID: "cluster",
        Spec: { Name: "default" },
        RootCA: { CACert: "", JoinTokens: { Worker: "", Manager: "" } },
      })
    );
    this.cluster.store.onApply((changes) => {
      for (const change of changes) {
        for (const key of this.#reconciler.keysOf(change, this.cluster.store)) this.#keys.add(key);
      }
    });
    for (let i = 1; i <= nodes; i++) this.cluster.addNode(`n${i}`);
  }

  policy(policy: Policy): void {
    this.#control((context) => updatePolicy(context, { policy }));
  }

  request(scope: { serviceId?: string; nodeId?: string }): void {
    this.#control((context) => requestRebalance(context, scope));
  }

  #control(run: (context: Parameters<typeof updatePolicy>[0]) => unknown): void {
    const { cluster } = this;
    cluster.write((tx) =>
      run({
        tx,
        nowMs: cluster.nowMs,
        newId: () => cluster.newId("r"),
        randomBytes: (n) => new Uint8Array(n),
        roots,
        managers: [],
      })
    );
  }

  #work(): void {
    const { cluster } = this;
    for (let round = 0; round < 50; round++) {
      cluster.settleWithAgents();
      const keys = [...this.#keys];
      this.#keys.clear();
      for (const key of keys) {
        const { changes, wakeAtMs } = this.#reconciler.reconcile(cluster.store, key, cluster.nowMs);
        if (key === "requests") this.#wakeAtMs = wakeAtMs ?? Infinity;
        cluster.commit(changes);
      }
      if (this.#keys.size === 0) return;
    }
    throw new Error("the rebalancer does not come to rest");
  }

  advance(ms: number): void {
    const end = this.cluster.nowMs + ms;
    this.#work();
    for (;;) {
      const next = Math.min(this.#wakeAtMs, this.cluster.nowMs + this.cluster.untilWakeMs());
      if (next > end) break;
      if (this.#wakeAtMs <= next) this.#keys.add("requests");
      this.cluster.nowMs = Math.max(this.cluster.nowMs, next);
      this.#work();
    }
    this.cluster.nowMs = end;
    this.#work();
  }

  /** Running tasks of a service by node. */
  spread(service: string): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const task of this.cluster.tasks(service)) {
      if (task.Status.State !== "running" || task.DesiredState !== "running") continue;
      counts[task.NodeID!] = (counts[task.NodeID!] ?? 0) + 1;
    }
    return counts;
  }

  get open(): number {
    return clusterOf(this.cluster.store)?.Rebalances?.length ?? 0;
  }
}

const web = (replicas: number) => ({
  Name: "web",
  Mode: { Replicated: { Replicas: replicas } },
  TaskTemplate: { ContainerSpec: { Image: "a" } },
});

Deno.test("a rebalance moves no more in a minute than the budget, starts first, and ends even", () => {
  const world = new World(1);
  world.policy({ MovesPerMinute: 3 });
  world.cluster.addService(web(12));
  world.advance(1_000);
  world.cluster.addNode("n2");
  world.cluster.addNode("n3");
  let least = 12;
  world.cluster.store.onApply(() => {
    const running = world.cluster.tasks("web").filter(({ Status }) => Status.State === "running");
    least = Math.min(least, running.length);
  });
  world.request({ serviceId: "web" });
  world.advance(30_000);
  assert.deepEqual(world.spread("web"), { n1: 9, n2: 2, n3: 1 });
  assert.equal(world.open, 1);
  world.advance(150_000);
  assert.deepEqual(world.spread("web"), { n1: 4, n2: 4, n3: 4 });
  assert.equal(world.open, 0, "a fulfilled wish is forgotten");
  assert.equal(least, 12, "capacity is kept while tasks move");
});

Deno.test("on-join moves to a node that came, after it stayed; a change of leader moves nothing", () => {
  const world = new World(2);
  world.cluster.addService(web(4));
  world.advance(1_000);
  world.cluster.setNodeState("n2", "down");
  world.advance(1_000);
  assert.deepEqual(world.spread("web"), { n1: 4 });
  world.cluster.setNodeState("n2", "ready");
  world.advance(60_000);
  assert.deepEqual(world.spread("web"), { n1: 4 }, "never is the default");
  world.policy({ Rebalance: "on-join" });
  world.cluster.setNodeState("n2", "unknown");
  world.cluster.setNodeState("n2", "ready");
  world.advance(60_000);
  assert.deepEqual(world.spread("web"), { n1: 4 }, "unknown and back is a change of leader");
  world.cluster.setNodeState("n2", "down");
  world.cluster.setNodeState("n2", "ready");
  world.advance(SETTLE_MS - 1);
  assert.deepEqual(world.spread("web"), { n1: 4 }, "a node has to stay first");
  world.advance(60_000);
  assert.deepEqual(world.spread("web"), { n1: 2, n2: 2 });
  assert.equal(world.open, 0);
});

Deno.test("after a change of leader a wish waits for the nodes that have yet to come back", () => {
  const world = new World(3);
  world.cluster.addService(web(6));
  world.advance(1_000);
  world.cluster.setNodeState("n3", "down");
  world.advance(60_000);
  assert.deepEqual(world.spread("web"), { n1: 3, n2: 3 });
  world.cluster.setNodeState("n3", "ready");
  for (const node of ["n1", "n2", "n3"]) world.cluster.setNodeState(node, "unknown");
  world.request({ nodeId: "n3" });
  world.request({ serviceId: "web" });
  world.cluster.setNodeState("n1", "ready");
  world.advance(10_000);
  assert.equal(world.open, 2);
  assert.deepEqual(
    world.spread("web"),
    { n1: 3, n2: 3 },
    "nothing is planned on half of the nodes",
  );
  for (const node of ["n2", "n3"]) world.cluster.setNodeState(node, "ready");
  world.advance(60_000);
  assert.deepEqual(world.spread("web"), { n1: 2, n2: 2, n3: 2 });
  assert.equal(world.open, 0);
});

Deno.test("a wish to move to a node that went away is forgotten; global services and jobs are refused", () => {
  const world = new World(2);
  world.cluster.addService(web(4));
  world.cluster.addService({ ...web(1), Name: "all", Mode: { Global: {} } });
  world.advance(1_000);
  assert.throws(() => world.request({ serviceId: "all" }), /is global: only replicated/);
  world.cluster.setNodeState("n2", "down");
  assert.throws(() => world.request({ nodeId: "n2" }), /node n2 takes no tasks \(down, active\)/);
  world.cluster.setNodeState("n2", "ready");
  world.request({ nodeId: "n2" });
  world.cluster.setNodeState("n2", "down");
  world.advance(5_000);
  assert.equal(world.open, 0);
});
