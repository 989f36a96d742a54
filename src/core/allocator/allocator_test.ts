import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { MemoryStore } from "../store/memory_store.ts";
import { Transaction } from "../store/transaction.ts";
import type { Node } from "../../model/node.ts";
import type { PortConfig } from "../../model/service_spec.ts";
import type { Task } from "../../model/task.ts";
import type { Change } from "../../model/view.ts";
import { Allocator } from "./allocator.ts";

const NOW = Date.UTC(2026, 0, 1);

/** A store whose changes an allocator follows. */
class World {
  readonly store = new MemoryStore();
  allocator = new Allocator();
  #next = 1;

  constructor(subnet = "10.0.0.0/28") {
    this.allocator.resync(this.store);
    this.store.onApply((changes) => {
      for (const change of changes) this.allocator.apply(change);
    });
    this.write((tx) => {
      tx.create("network", {
        ID: "net",
        Spec: { Name: "back", Labels: {}, Driver: { Name: "overlay" } },
        IPAMOptions: {
          Config: [{ Subnet: subnet, Gateway: subnet.replace("0/", "1/").split("/")[0]! }],
        },
        VNI: 4096,
      });
    });
  }

  write(change: (tx: Transaction) => void): void {
    const tx = new Transaction(this.store, NOW);
    change(tx);
    this.store.apply(this.store.index + 1, tx.changes());
  }

  allocate(): readonly Change[] {
    const changes = this.allocator.allocate(this.store, NOW);
    this.write((tx) => {
      for (const change of changes) tx.perform(change);
    });
    return changes;
  }

  service(): string {
    const ID = `s${this.#next++}`;
    this.write((tx) =>
      tx.create("service", {
        ID,
        Spec: { Name: ID, TaskTemplate: { Networks: [{ Target: "net" }] } },
      })
    );
    return ID;
  }

  task(serviceId: string, NodeID?: string): string {
    const ID = `t${this.#next++}`;
    this.write((tx) =>
      tx.create("task", {
        ID,
        ServiceID: serviceId,
        Spec: {},
        ...(NodeID === undefined ? {} : { NodeID }),
        Status: { State: "new", Message: "created" },
        DesiredState: "running",
        NetworksAttachments: [{ NetworkID: "net", Name: "back" }],
      })
    );
    return ID;
  }

  node(ID: string, Availability: "active" | "drain" = "active"): void {
    this.write((tx) =>
      tx.create("node", {
        ID,
        Spec: { Availability, Role: "worker" },
        Status: { State: "ready" },
      } as unknown as Node)
    );
  }

  /** What the scheduler does. */
  place(id: string, NodeID: string): void {
    const { Status } = this.store.get("task", id)!;
    strictEqual(Status.State, "pending");
    this.update(id, { NodeID, Status: { ...Status, State: "assigned" } });
  }

  update(id: string, change: Partial<Task>): void {
    this.write((tx) => tx.update("task", { ...tx.get("task", id)!, ...change }));
  }

  /** Every address in use, with who has it. */
  held(): string[] {
    const found: string[] = [];
    for (const { ID, Endpoint } of this.store.all("service")) {
      for (const { Addr } of Endpoint?.VirtualIPs ?? []) found.push(`${Addr} ${ID}`);
    }
    for (const { ID, Status, NetworksAttachments } of this.store.all("task")) {
      if (Status.State === "failed") continue;
      for (const { Addresses } of NetworksAttachments ?? []) {
        for (const address of Addresses ?? []) found.push(`${address} ${ID}`);
      }
    }
    const gateways = this.store.get("network", "net")?.Gateways ?? {};
    for (const [node, address] of Object.entries(gateways)) found.push(`${address}/28 ${node}`);
    return found;
  }
}

Deno.test("allocator: a service gets a virtual address, its task one of its own, its node a gateway", () => {
  const world = new World();
  const service = world.service();
  const task = world.task(service, "n1");
  world.allocate();
  deepStrictEqual(world.store.get("service", service)?.Endpoint?.VirtualIPs, [
    { NetworkID: "net", Addr: "10.0.0.2/28" },
  ]);
  const allocated = world.store.get("task", task)!;
  strictEqual(allocated.Status.State, "pending");
  deepStrictEqual(allocated.NetworksAttachments?.[0]?.Addresses, ["10.0.0.3/28"]);
  world.update(task, { Status: { ...allocated.Status, State: "assigned" } });
  world.allocate();
  deepStrictEqual(world.store.get("network", "net")?.Gateways, { n1: "10.0.0.4" });
  world.update(task, { Status: { ...allocated.Status, State: "failed" } });
  world.allocate();
  deepStrictEqual(world.store.get("network", "net")?.Gateways, {});
});

Deno.test("allocator: a published port comes with an address on the mesh's network, and goes with it", () => {
  const world = new World();
  const mesh = (ID: string, Subnet: string) =>
    world.write((tx) =>
      tx.create("network", {
        ID,
        Spec: { Name: "ingress", Labels: {}, Ingress: true, Driver: { Name: "overlay" } },
        IPAMOptions: { Config: [{ Subnet, Gateway: Subnet.replace("0/", "1/").split("/")[0]! }] },
        VNI: 4097,
      })
    );
  const ports = (id: string, Ports: readonly PortConfig[]) =>
    world.write((tx) => {
      const service = tx.get("service", id)!;
      tx.update("service", { ...service, Spec: { ...service.Spec, EndpointSpec: { Ports } } });
    });
  const vips = (id: string) => {
    world.allocate();
    deepStrictEqual(world.allocator.audit(world.store), []);
    return world.store.get("service", id)?.Endpoint?.VirtualIPs;
  };
  const own = { NetworkID: "net", Addr: "10.0.0.2/28" };
  const service = world.service();
  ports(service, [{ TargetPort: 80, PublishedPort: 8080 }]);
  deepStrictEqual(vips(service), [own], "nowhere to have one");
  mesh("mesh", "10.1.0.0/29");
  deepStrictEqual(vips(service), [own, { NetworkID: "mesh", Addr: "10.1.0.2/29" }]);
  ports(service, [{ TargetPort: 80, PublishedPort: 8080, PublishMode: "host" }]);
  deepStrictEqual(vips(service), [own]);
  const others = Array.from({ length: 7 }, () => {
    const id = world.service();
    ports(id, [{ TargetPort: 80 }]);
    return id;
  });
  strictEqual(vips(others[0]!)?.[0]?.NetworkID, "mesh", "the mesh's comes first");
  const last = others.at(-1)!;
  const task = world.task(last);
  deepStrictEqual(vips(last)?.map(({ NetworkID }) => NetworkID), ["net"], "the mesh's is full");
  strictEqual(world.store.get("task", task)?.Status.State, "pending", "and holds nothing up");
});

Deno.test("allocator: when no address is left, the task says which network is full", () => {
  const world = new World("10.0.0.0/29");
  const service = world.service();
  for (let i = 0; i < 5; i++) world.task(service);
  world.allocate();
  const waiting = [...world.store.all("task")].filter(({ Status }) => Status.State === "new");
  strictEqual(waiting.length, 1);
  match(
    waiting[0]!.Status.Err ?? "",
    /network back has no free address .*all 5 of 10\.0\.0\.0\/29/,
  );
  strictEqual(world.allocator.nearlyFull(world.store).length, 1);
  deepStrictEqual(world.allocate(), [], "the reason is written once");
});

Deno.test("allocator: tasks leave room for the nodes that they go to, wherever that is", () => {
  const world = new World("10.0.0.0/29");
  for (const id of ["n1", "n2", "n3"]) world.node(id);
  world.node("drained", "drain");
  const service = world.service();
  const tasks = Array.from({ length: 4 }, () => world.task(service));
  world.allocate();
  const inState = (state: string) =>
    tasks.filter((id) => world.store.get("task", id)?.Status.State === state);
  deepStrictEqual(inState("pending"), tasks.slice(0, 2), "one address each, and one per node");
  for (const id of inState("new")) {
    match(world.store.get("task", id)?.Status.Err ?? "", /^network back has no free address/);
  }
  world.place(tasks[0]!, "n1");
  world.place(tasks[1]!, "n2");
  world.allocate();
  deepStrictEqual(Object.keys(world.store.get("network", "net")?.Gateways ?? {}), ["n1", "n2"]);
  deepStrictEqual(inState("new"), tasks.slice(2), "all five are given out");
  // Room is made: a node without tasks gives its address back as well.
  world.update(tasks[1]!, {
    Status: { ...world.store.get("task", tasks[1]!)!.Status, State: "failed" },
  });
  world.allocate();
  world.allocate();
  deepStrictEqual(inState("new"), tasks.slice(3));
  world.place(tasks[2]!, "n3");
  world.allocate();
  deepStrictEqual(Object.keys(world.store.get("network", "net")?.Gateways ?? {}), ["n1", "n3"]);
});

Deno.test("allocator: a task that goes to a node with an address needs its own only", () => {
  const world = new World("10.0.0.0/29");
  for (const id of ["n1", "n2", "n3"]) world.node(id);
  const service = world.service();
  for (let i = 0; i < 3; i++) {
    const task = world.task(service, "n1");
    world.allocate();
    world.place(task, "n1");
    world.allocate();
  }
  strictEqual(world.held().length, 5);
  const other = world.task(service, "n1");
  world.allocate();
  strictEqual(world.store.get("task", other)?.Status.State, "new");
});

Deno.test("allocator: a container that starts again has the address that it had, or another, or is told", () => {
  const world = new World("10.0.0.0/29");
  world.node("n1");
  const box = world.task("", "n1");
  const network = { NetworkID: "net", Name: "back" };
  const running = { State: "running", Message: "started" } as const;
  const rest = (LastAddress: string, Idle = true) =>
    world.update(box, {
      Status: running,
      Spec: { NetworkAttachmentSpec: { LastAddress, ...(Idle ? { Idle } : {}) } },
      NetworksAttachments: [network],
    });
  const gets = () => {
    world.allocate();
    const { Status, NetworksAttachments } = world.store.get("task", box)!;
    strictEqual(Status.State, "running");
    return NetworksAttachments?.[0]?.Addresses?.[0] ?? Status.Err;
  };
  rest("10.0.0.2");
  strictEqual(gets(), undefined, "it does not run");
  strictEqual(world.store.get("network", "net")?.Gateways?.n1, "10.0.0.2", "its node stays");
  rest("10.0.0.4", false);
  strictEqual(gets(), "10.0.0.4/29");
  strictEqual(world.store.get("task", box)?.NetworksAttachments?.[0]?.MAC, "02:42:0a:00:00:04");
  rest("10.0.0.4");
  const others = Array.from({ length: 4 }, () => world.task("", "n1"));
  world.allocate();
  rest("10.0.0.4", false);
  match(gets() ?? "", /^network back has no free address for the container: all 5 of/);
  const addressOf = (id: string) =>
    world.store.get("task", id)!.NetworksAttachments![0]!.Addresses![0];
  ok(others.some((id) => addressOf(id) === "10.0.0.4/29"), "it is another's");
  const first = others.find((id) => addressOf(id) !== "10.0.0.4/29")!;
  const theirs = addressOf(first);
  world.update(first, { Status: { State: "failed" } });
  strictEqual(gets(), theirs);
  strictEqual(world.store.get("task", box)?.Status.Err, undefined);
  deepStrictEqual(world.allocator.audit(world.store), []);
});

Deno.test("allocator: an address that was asked for takes none of what nodes need", () => {
  const world = new World("10.0.0.0/29");
  world.node("n1");
  const service = world.service();
  for (let i = 0; i < 3; i++) {
    const task = world.task(service, "n1");
    world.allocate();
    world.place(task, "n1");
  }
  const asked = world.task(service, "n2");
  world.update(asked, { NetworksAttachments: [{ NetworkID: "net", Addresses: ["10.0.0.6/29"] }] });
  world.allocate();
  match(world.store.get("task", asked)?.Status.Err ?? "", /no free address/);
  ok(world.store.get("network", "net")?.Gateways?.n1);
});

Deno.test("allocator: whatever comes and goes, no address is twice, none leaks, a new leader agrees", () => {
  const event = fc.record({
    kind: fc.constantFrom("service", "task", "run", "end", "remove", "allocate"),
    pick: fc.nat(),
  });
  fc.assert(fc.property(fc.array(event, { maxLength: 60 }), (events) => {
    const world = new World();
    const pick = <T>(all: Iterable<T>, n: number): T | undefined => {
      const list = [...all];
      return list[n % Math.max(1, list.length)];
    };
    for (const { kind, pick: n } of events) {
      const service = pick(world.store.all("service"), n);
      const task = pick(world.store.all("task"), n);
      if (kind === "service") world.service();
      else if (kind === "task" && service) world.task(service.ID, `n${n % 3}`);
      else if (kind === "run" && task?.Status.State === "pending") {
        world.update(task.ID, { Status: { ...task.Status, State: "running" } });
      } else if (kind === "end" && task && task.Status.State !== "failed") {
        world.update(task.ID, { Status: { ...task.Status, State: "failed" } });
      } else if (kind === "remove" && task) {
        world.write((tx) => tx.remove("task", task.ID));
      } else if (kind === "allocate") world.allocate();
      deepStrictEqual(world.allocator.audit(world.store), []);
      const addresses = world.held().map((line) => line.split("/")[0]!);
      strictEqual(new Set(addresses).size, addresses.length, world.held().join(", "));
      ok(!addresses.includes("10.0.0.1") && !addresses.includes("10.0.0.0"));
    }
    const other = new Allocator();
    other.resync(world.store);
    deepStrictEqual(other.usages(world.store), world.allocator.usages(world.store));
  }));
});

Deno.test("allocator: a new leader gives the address of a task that ended to others late, too", () => {
  const world = new World();
  const service = world.service();
  const addressOf = (id: string) =>
    world.store.get("task", id)!.NetworksAttachments![0]!.Addresses![0]!;
  const tasks = Array.from({ length: 4 }, () => world.task(service));
  world.allocate();
  const last = addressOf(tasks[3]!);
  world.update(tasks[3]!, { Status: { State: "failed" } });
  world.allocator = new Allocator();
  world.allocator.resync(world.store);
  const next = world.task(service);
  world.allocate();
  notStrictEqual(addressOf(next), last);
});
