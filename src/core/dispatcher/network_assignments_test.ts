import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Cluster } from "../../model/cluster.ts";
import { OPTION } from "../../model/network.ts";
import type { Node } from "../../model/node.ts";
import type { Assignment, NetworkAssignment } from "../../model/session.ts";
import type { Task } from "../../model/task.ts";
import { desiredState } from "../network/desired.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { Transaction } from "../store/transaction.ts";
import { addNetworks } from "./network_assignments.ts";

const FACTS = {
  nodeId: "n1",
  dataPathAddr: "192.168.1.1",
  dataPathMtu: 1500,
  apiPort: 2377,
};

/** What n1 is told of the network `net`, which has tasks on n1 and n2. */
function told(...args: Parameters<typeof assigned>) {
  const found = assigned(...args).get("network/net");
  return found?.kind === "network" ? found.network : undefined;
}

function assigned(
  cluster: Partial<Cluster>,
  options: Record<string, string> = {},
  more: Partial<Task> = {},
) {
  const tx = new Transaction(new MemoryStore(), 0);
  tx.create("cluster", { ID: "c", Spec: { Name: "default" }, ...cluster } as Cluster);
  for (const [ID, Addr] of [["n1", "192.168.1.1"], ["n2", "172.16.0.2"]] as const) {
    const node = {
      ID,
      Spec: {},
      Status: { State: "ready", Addr: `10.99.0.${ID.slice(1)}` },
      Description: { Hostname: ID, Overlay: { Addr } },
    };
    tx.create("node", node as unknown as Node);
    tx.create("task", {
      ID: `t-${ID}`,
      NodeID: ID,
      ServiceID: "s",
      Spec: {},
      Status: { State: "running" },
      DesiredState: "running",
      NetworksAttachments: [{ NetworkID: "net", Addresses: [`10.0.0.1${ID.slice(1)}/24`] }],
      ...more,
    });
  }
  tx.create("network", {
    ID: "net",
    Spec: { Name: "back", Driver: { Name: "overlay", Options: options } },
    IPAMOptions: { Config: [{ Subnet: "10.0.0.0/24" }] },
    VNI: 4096,
    Gateways: { n1: "10.0.0.2", n2: "10.0.0.3" },
  });
  tx.create("task", {
    ID: "guest",
    Name: "box",
    NodeID: "n2",
    Spec: { NetworkAttachmentSpec: {} },
    Status: { State: "running" },
    DesiredState: "running",
    NetworksAttachments: [{ NetworkID: "net", Aliases: ["b"], Addresses: ["10.0.0.20/24"] }],
  });
  const set = new Map<string, Assignment>();
  addNetworks(set, tx, "n1", [tx.get("task", "t-n1") as Task]);
  return set;
}

const mtuOf = (network: NetworkAssignment | undefined, dataPathMtu = 1500) =>
  desiredState({
    networks: new Map(network ? [["net", network]] : []),
    endpoints: new Map(),
    services: new Map(),
  }, { ...FACTS, dataPathMtu }).networks[0]?.mtu;

Deno.test("a node's networks: frames go to the other nodes' data path, at the cluster's port", () => {
  const peers = [{ nodeId: "n2", addr: "172.16.0.2", gateway: "10.0.0.3" }];
  deepStrictEqual([told({})?.port, told({})?.peers], [4789, peers]);
  strictEqual(told({ DataPathPort: 7777 })?.port, 7777);
  strictEqual(told({ DataPathPort: 7777 }, { [OPTION.encrypted]: "" })?.port, 7778);
});

Deno.test("a node's networks: packets fit the data path, and are no larger than was asked for", () => {
  strictEqual(mtuOf(told({})), 1450);
  strictEqual(mtuOf(told({}), 9000), 8950);
  strictEqual(mtuOf(told({}, { [OPTION.mtu]: "1300" })), 1300);
  strictEqual(mtuOf(told({}, { [OPTION.mtu]: "1500" })), 1450, "more than fits is no use");
});

Deno.test("a node's networks: nobody hears of a container that does not run, and its node keeps the network", () => {
  const guest = {
    ID: "guest",
    Name: "box",
    NodeID: "n1",
    Spec: { NetworkAttachmentSpec: { Idle: true } },
    Status: { State: "running" },
    DesiredState: "running",
    NetworksAttachments: [{ NetworkID: "net", Addresses: ["10.0.0.20/24"] }],
  } as unknown as Task;
  const told = (task: Task) => {
    const tx = new Transaction(new MemoryStore(), 0);
    tx.create("cluster", { ID: "c", Spec: { Name: "default" } } as Cluster);
    tx.create("network", {
      ID: "net",
      Spec: { Name: "back", Driver: { Name: "overlay" } },
      IPAMOptions: { Config: [{ Subnet: "10.0.0.0/24" }] },
      VNI: 4096,
      Gateways: { n1: "10.0.0.2" },
    });
    tx.create("task", task);
    const set = new Map<string, Assignment>();
    addNetworks(set, tx, "n1", [tx.get("task", "guest")!]);
    return [...set.keys()];
  };
  deepStrictEqual(told(guest), ["network/net"]);
  const again = { ...guest, Spec: { NetworkAttachmentSpec: {} } };
  deepStrictEqual(told(again), ["network/net", "endpoint/guest"]);
  const waiting = { ...again, NetworksAttachments: [{ NetworkID: "net" }] };
  deepStrictEqual(told(waiting), ["network/net"], "it has no address yet");
});

Deno.test("a node's networks: a container outside services is told with its name, a task without", () => {
  const endpoint = (id: string) => {
    const found = assigned({}).get(`endpoint/${id}`);
    return found?.kind === "endpoint" ? found.endpoint : undefined;
  };
  deepStrictEqual(endpoint("guest"), {
    nodeId: "n2",
    container: "box",
    names: ["box", "b"],
    addresses: [{ networkId: "net", address: "10.0.0.20" }],
    serving: true,
  });
  strictEqual("container" in endpoint("t-n2")!, false);
});

Deno.test("a node's networks: a task that serves goes by its hostname and its container's id, too", () => {
  const namesOf = (more: Partial<Task>) => {
    const found = assigned({}, {}, { ServiceAnnotations: { Name: "db" }, Slot: 2, ...more })
      .get("endpoint/t-n2");
    return found?.kind === "endpoint" ? found.endpoint.names : undefined;
  };
  const Spec = {
    ContainerSpec: { Hostname: "{{.Service.Name}}-{{.Task.Slot}}-{{.Node.Hostname}}" },
  };
  const Status = {
    State: "running",
    ContainerStatus: { ContainerID: "0123456789abcdef0123456789abcdef" },
  } as const;
  deepStrictEqual(namesOf({ Spec, Status }), ["db.2.t-n2", "db-2-n2", "0123456789ab"]);
  deepStrictEqual(namesOf({ Status }), ["db.2.t-n2", "0123456789ab"]);
  // Its successor may have the same.
  deepStrictEqual(namesOf({ Spec, Status, DesiredState: "shutdown" }), ["db.2.t-n2"]);
  deepStrictEqual(namesOf({ Spec, Status: { ...Status, State: "starting" } }), ["db.2.t-n2"]);
  const unknown = { ContainerSpec: { Hostname: "{{.Nope}}" } };
  deepStrictEqual(namesOf({ Spec: unknown, Status: { State: "running" } }), ["db.2.t-n2"]);
});
