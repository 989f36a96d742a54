import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../store/memory_store.ts";
import type { Node } from "../../model/node.ts";
import type { Service } from "../../model/service.ts";
import type { TaskSpec } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import type { TaskState } from "../../model/task_state.ts";
import { timeText } from "../../model/meta.ts";
import type { Change } from "../../model/view.ts";
import { isBetter, NodeHeap } from "./node_heap.ts";
import type { Candidate } from "./node_heap.ts";
import { NodeInfo } from "./node_info.ts";
import { schedule, Scheduler } from "./scheduler.ts";

const NOW = Date.UTC(2026, 0, 1);
const META = { Version: { Index: 0 }, CreatedAt: timeText(NOW), UpdatedAt: "" };

function node(ID: string, more: Partial<Node> = {}): Change {
  const object: Node = {
    ...META,
    ID,
    Spec: {},
    Role: "worker",
    Status: { State: "ready" },
    Description: { Resources: { NanoCPUs: 2e9, MemoryBytes: 1e9 } },
    ...more,
  };
  return { op: "create", table: "node", object };
}

function task(ID: string, Spec: TaskSpec = {}, more: Partial<Task> = {}): Change {
  const object: Task = {
    ...META,
    ID,
    Spec,
    ServiceID: "s",
    SpecVersion: { Index: 1 },
    Status: { State: "pending" },
    DesiredState: "running",
    ...more,
  };
  return { op: "create", table: "task", object };
}

function storeOf(...changes: Change[]): MemoryStore {
  const store = new MemoryStore();
  store.apply(1, changes);
  return store;
}

/** `task>node` or `task: reason`, in order. */
function decisions(changes: readonly Change[]): string[] {
  return changes.map((change) => {
    const { ID, NodeID, Status } = (change as { object: Task }).object;
    return Status.State === "assigned" ? `${ID}>${NodeID}` : `${ID}: ${Status.Err ?? Status.State}`;
  });
}

const cpus = (n: number): TaskSpec => ({ Resources: { Reservations: { NanoCPUs: n * 1e9 } } });

Deno.test("one that waits is placed, one that nobody wants any more ends", () => {
  const store = storeOf(node("a"), task("t1"), task("t2", {}, { DesiredState: "shutdown" }));
  assert.deepEqual(decisions(schedule(store, NOW).changes), ["t2: shutdown", "t1>a"]);
});

Deno.test("nothing that was decided is booked before it is stored", () => {
  const store = storeOf(node("a"), task("t1", cpus(2)));
  const scheduler = new Scheduler();
  scheduler.resync(store);
  const first = scheduler.schedule(store, NOW);
  assert.deepEqual(scheduler.schedule(store, NOW), first);
  store.onApply((changes) => scheduler.apply(changes));
  store.apply(2, first.changes);
  store.apply(3, [task("t2", cpus(1))]);
  assert.deepEqual(decisions(scheduler.schedule(store, NOW).changes), [
    "t2: no suitable node (1 node has 0 of 1 CPUs free)",
  ]);
});

Deno.test("what a task holds is free when it has stopped, not when it is told to", () => {
  const running = (DesiredState: Task["DesiredState"], State: Task["Status"]["State"]) =>
    task("old", cpus(2), { NodeID: "a", DesiredState, Status: { State } });
  const waits = storeOf(node("a"), running("shutdown", "running"), task("new", cpus(1)));
  assert.match(decisions(schedule(waits, NOW).changes)[0]!, /no suitable node/);
  const stopped = storeOf(node("a"), running("shutdown", "shutdown"), task("new", cpus(1)));
  assert.deepEqual(decisions(schedule(stopped, NOW).changes), ["new>a"]);
});

Deno.test("a successor that waits for its predecessor may have its place; one that does not may not", () => {
  const old = task("old", cpus(2), { NodeID: "a", Status: { State: "running" } });
  const store = (DesiredState: "ready" | "running") =>
    storeOf(node("a"), old, task("new", cpus(2), { Replaces: "old", DesiredState }));
  assert.deepEqual(decisions(schedule(store("ready"), NOW).changes), ["new>a"]);
  assert.match(decisions(schedule(store("running"), NOW).changes)[0]!, /no suitable node/);
});

Deno.test("a successor that waits gets by name what its predecessor holds", () => {
  const gpus = ["a", "b", "c"].map((Value) => ({ NamedResourceSpec: { Kind: "gpu", Value } }));
  const Description = { Resources: { NanoCPUs: 4e9, GenericResources: gpus } };
  const two: TaskSpec = {
    Resources: {
      Reservations: {
        GenericResources: [{ DiscreteResourceSpec: { Kind: "gpu", Value: 2 } }],
      },
    },
  };
  const store = storeOf(node("n1", { Description }), task("old", two));
  store.apply(store.index + 1, schedule(store, NOW).changes);
  const old = store.get("task", "old")!;
  assert.deepEqual(old.GenericResources, gpus.slice(0, 2));
  const next = task("new", two, { DesiredState: "ready", Replaces: "old" });
  store.apply(store.index + 1, [next]);
  const [change] = schedule(store, NOW).changes;
  assert.deepEqual((change as { object: Task }).object.GenericResources, gpus.slice(0, 2));
});

Deno.test("a task that shall leave its node goes where it is told, or anywhere else", () => {
  const old = task("old", {}, {
    NodeID: "a",
    Status: { State: "running" },
    Relocate: { At: timeText(NOW - 1_000), To: "c" },
  });
  const successor = task("new", {}, { Replaces: "old", PreferredNodeID: "c" });
  const nodes = [node("a"), node("b"), node("c")];
  assert.deepEqual(decisions(schedule(storeOf(...nodes, old, successor), NOW).changes), ["new>c"]);
  const paused = node("c", { Spec: { Availability: "pause" } });
  assert.deepEqual(
    decisions(schedule(storeOf(nodes[0]!, nodes[1]!, paused, old, successor), NOW).changes),
    ["new>b"],
  );
});

Deno.test("a node where the service fails again and again comes last", () => {
  const failed = Array.from({ length: 5 }, (_, i) =>
    task(`f${i}`, {}, {
      NodeID: "a",
      DesiredState: "shutdown",
      Status: { State: "failed", AppliedAt: timeText(NOW - 60_000) },
    }));
  const busy = task("other", {}, { NodeID: "b", Status: { State: "running" } });
  const store = storeOf(node("a"), node("b"), ...failed, busy, task("new"));
  assert.deepEqual(decisions(schedule(store, NOW).changes), ["new>b"]);
  assert.deepEqual(decisions(schedule(store, NOW + 10 * 60_000).changes), ["new>a"]);
});

Deno.test("a node that lacks a bound path is passed by for a while, and told so", () => {
  const bound = { ContainerSpec: { Mounts: [{ Type: "bind", Source: "/srv/a", Target: "/a" }] } };
  const refused = (id: string, NodeID: string) =>
    task(id, bound, {
      NodeID,
      DesiredState: "shutdown",
      Status: {
        State: "rejected",
        AppliedAt: timeText(NOW - 1_000),
        Err: 'invalid mount config for type "bind": bind source path does not exist: /srv/a',
      },
    });
  const two = storeOf(node("a"), node("b"), refused("t1", "a"), task("new", bound));
  assert.deepEqual(decisions(schedule(two, NOW).changes), ["new>b"]);
  const none = storeOf(
    ...[node("a"), node("b"), refused("t1", "a"), refused("t2", "b"), task("new", bound)],
  );
  assert.deepEqual(decisions(schedule(none, NOW).changes), [
    "new: no suitable node (2 nodes lack the path /srv/a)",
  ]);
  assert.deepEqual(decisions(schedule(none, NOW + 5 * 60_000).changes), ["new>a"]);
  const other = { ContainerSpec: { Mounts: [{ Type: "bind", Source: "/srv/b", Target: "/a" }] } };
  const unconcerned = storeOf(node("a"), refused("t1", "a"), task("new", other));
  assert.deepEqual(decisions(schedule(unconcerned, NOW).changes), ["new>a"]);
});

Deno.test("a reason is told at once, and told anew at most every ten seconds", () => {
  const waiting = (Err: string, at: number) =>
    storeOf(
      node("a"),
      task("t", cpus(3), {
        Status: { State: "pending", Err, Timestamp: timeText(at) },
      }),
    );
  const late = schedule(waiting("an old reason", NOW - 10_000), NOW);
  assert.deepEqual(decisions(late.changes), [
    "t: no suitable node (1 node has 2 of 3 CPUs free)",
  ]);
  assert.deepEqual(schedule(waiting("an old reason", NOW - 4_000), NOW), {
    changes: [],
    wakeAtMs: NOW + 6_000,
  });
});

Deno.test("a task on an overlay network goes only where there can be one", () => {
  const Problem = "the kernel has no VXLAN devices";
  const without = node("a", { Description: { Overlay: { Addr: "10.0.0.1", Problem } } });
  const attached = task("t", {}, {
    NetworksAttachments: [{ NetworkID: "net", Addresses: ["10.0.1.5/24"] }],
  });
  assert.deepEqual(decisions(schedule(storeOf(without, attached), NOW).changes), [
    `t: no suitable node (no overlay networks on 1 node: ${Problem})`,
  ]);
  assert.deepEqual(decisions(schedule(storeOf(without, node("b"), attached), NOW).changes), [
    "t>b",
  ]);
  assert.deepEqual(decisions(schedule(storeOf(without, task("u")), NOW).changes), ["u>a"]);
});

Deno.test("a task on an encrypted network goes only where the kernel encrypts", () => {
  const EncryptionProblem = "the kernel has no ESP";
  const without = node("a", { Description: { Overlay: { Addr: "10.0.0.1", EncryptionProblem } } });
  const network = (ID: string, Options: Record<string, string>): Change => ({
    op: "create",
    table: "network",
    object: { ...META, ID, Spec: { Name: ID, Driver: { Name: "overlay", Options } } },
  });
  const networks = [network("sealed", { encrypted: "" }), network("open", {})];
  const on = (NetworkID: string) =>
    task("t", {}, { NetworksAttachments: [{ NetworkID, Addresses: ["10.0.1.5/24"] }] });
  const at = (...changes: Change[]) =>
    decisions(schedule(storeOf(...networks, without, ...changes), NOW).changes);
  assert.deepEqual(at(on("sealed")), [
    "t: no suitable node (encrypted network sealed cannot be on 1 node: the kernel has no ESP)",
  ]);
  assert.deepEqual(at(node("b"), on("sealed")), ["t>b"]);
  assert.deepEqual(at(on("open")), ["t>a"]);
});

Deno.test("without nodes the reason says so", () => {
  assert.deepEqual(decisions(schedule(storeOf(task("t")), NOW).changes), [
    "t: no suitable node (the cluster has no nodes)",
  ]);
});

Deno.test("the heap's best is the best, whatever moves", () => {
  const load = fc.record({
    ofService: fc.nat({ max: 3 }),
    total: fc.nat({ max: 3 }),
    failures: fc.nat({ max: 7 }),
  });
  fc.assert(fc.property(
    fc.array(load, { minLength: 1, maxLength: 20 }),
    fc.array(fc.tuple(fc.nat({ max: 19 }), fc.constantFrom("more", "leave", "come"))),
    (loads, moves) => {
      const info = new NodeInfo((node("x") as { object: Node }).object);
      const all = loads.map((entry, order): Candidate => ({ ...entry, info, order, position: -1 }));
      const heap = new NodeHeap();
      for (const candidate of all) heap.add(candidate);
      for (const [at, move] of moves) {
        const candidate = all[at % all.length]!;
        const inside = candidate.position >= 0;
        if (move === "more") {
          candidate.ofService++;
          candidate.total++;
          if (inside) heap.moved(candidate);
        } else if (move === "leave" && inside) heap.remove(candidate);
        else if (move === "come" && !inside) heap.add(candidate);
        const open = all.filter(({ position }) => position >= 0);
        const best = open.reduce<Candidate | undefined>(
          (winner, next) => !winner || isBetter(next, winner) ? next : winner,
          undefined,
        );
        assert.equal(heap.best, best);
      }
    },
  ));
});

function service(ID: string, Name: string, more: Partial<Service> = {}, label = ""): Change {
  const Labels = label === "" ? {} : { "io.fleet.depends-on": label };
  const object: Service = { ...META, ID, ...more, Spec: { Name, Labels, ...more.Spec } };
  return { op: "create", table: "service", object };
}

Deno.test("depends_on holds tasks back until the others are ready, and says why", () => {
  const scheduler = new Scheduler();
  const store = new MemoryStore();
  let index = 0;
  store.onApply((changes) => void scheduler.apply(changes));
  const look = (...changes: Change[]) => {
    store.apply(++index, changes);
    return decisions(scheduler.schedule(store, NOW + index * 60_000).changes);
  };
  const label = "db=service_healthy,job=service_completed_successfully,none=odd";
  const web = service("s", "web", {}, label);
  assert.deepEqual(look(node("n1"), web, task("t1")), [
    "t1: waiting for db (there is no such service), job (there is no such service)",
  ]);
  const job = { Spec: { Name: "job", Mode: { ReplicatedJob: { TotalCompletions: 2 } } } };
  const dbTask = (State: TaskState) =>
    task("d1", {}, { ServiceID: "d", NodeID: "n1", Status: { State } });
  assert.deepEqual(look(service("d", "db"), service("j", "job", job), dbTask("starting")), [
    "t1: waiting for db (starting), job (0 of 2 completed)",
  ]);
  const done = (ID: string) =>
    task(ID, {}, { ServiceID: "j", NodeID: "n1", Status: { State: "complete" } });
  const change = ({ object }: { object: { ID: string } }): Change => ({
    op: "update",
    table: "task",
    object: { ...object, Version: store.get("task", object.ID)!.Version } as Task,
  });
  assert.deepEqual(look(done("j1"), change(dbTask("running") as { object: Task })), [
    "t1: waiting for job (1 of 2 completed)",
  ]);
  assert.deepEqual(look(done("j2")), ["t1>n1"]);
});

Deno.test("a service that has run comes back without those it waited for at first", () => {
  const ran = task("t0", {}, {
    NodeID: "n1",
    Status: { State: "failed" },
    DesiredState: "shutdown",
  });
  const web = service("s", "web", {}, "db=service_started");
  assert.deepEqual(
    decisions(schedule(storeOf(node("n1"), web, ran, task("t1")), NOW).changes),
    ["t1>n1"],
  );
});

Deno.test("a look is worth it when the progress of others lets tasks start", () => {
  const scheduler = new Scheduler();
  const store = storeOf(node("n1"), service("s", "web", {}, "db=service_started"), task("t1"));
  scheduler.resync(store);
  scheduler.schedule(store, NOW);
  const seen: boolean[] = [];
  store.onApply((changes) => seen.push(scheduler.apply(changes)));
  store.apply(2, [service("d", "db")]);
  store.apply(3, [task("d1", {}, { ServiceID: "d", NodeID: "n1", Status: { State: "running" } })]);
  assert.deepEqual(seen, [true, true]);
});
