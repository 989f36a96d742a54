import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import type { Node } from "../../model/node.ts";
import { networkDetails } from "./network.ts";

Deno.test("a network's details: the nodes that have a part of it, and with verbose who is on it", () => {
  const tx = new Transaction(new MemoryStore(), 0);
  for (const ID of ["n1", "n2"]) {
    const node = {
      ID,
      Spec: {},
      Status: { State: "ready", Addr: `10.99.0.${ID.slice(1)}` },
      Description: { Hostname: `host-${ID}`, Overlay: { Addr: `192.168.1.${ID.slice(1)}` } },
    };
    tx.create("node", node as unknown as Node);
  }
  tx.create("network", {
    ID: "net",
    Spec: { Name: "back", Driver: { Name: "overlay" } },
    Gateways: { n2: "10.0.0.3", n1: "10.0.0.2", gone: "10.0.0.4" },
  });
  tx.create("service", {
    ID: "s",
    Spec: { Name: "web", TaskTemplate: { Networks: [{ Target: "net" }] } },
    Endpoint: { VirtualIPs: [{ NetworkID: "net", Addr: "10.0.0.5/24" }] },
  });
  tx.create("service", { ID: "other", Spec: { Name: "other", TaskTemplate: {} } });
  for (const [ID, State] of [["a", "running"], ["b", "failed"]] as const) {
    tx.create("task", {
      ID,
      Slot: 1,
      NodeID: "n2",
      ServiceID: "s",
      ServiceAnnotations: { Name: "web" },
      Spec: {},
      Status: { State },
      DesiredState: "running",
      NetworksAttachments: [{ NetworkID: "net", Addresses: ["10.0.0.11/24"] }],
    });
  }
  const network = tx.get("network", "net")!;
  const plain = networkDetails(tx, network, false);
  deepStrictEqual(plain["Peers"], [
    { Name: "host-n1", IP: "192.168.1.1" },
    { Name: "host-n2", IP: "192.168.1.2" },
  ]);
  strictEqual("Services" in plain, false);
  deepStrictEqual(networkDetails(tx, network, true)["Services"], {
    web: {
      VIP: "10.0.0.5",
      Ports: [],
      LocalLBIndex: 0,
      Tasks: [{
        Name: "web.1.a",
        EndpointID: "a",
        EndpointIP: "10.0.0.11",
        Info: { "Host IP": "10.99.0.2" },
      }],
    },
  });
});

Deno.test("who is on the network of the mesh: whoever publishes ports, with the ports", () => {
  const tx = new Transaction(new MemoryStore(), 0);
  tx.create("network", { ID: "mesh", Spec: { Name: "ingress", Ingress: true } });
  tx.create("service", {
    ID: "s",
    Spec: { Name: "web", EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 8080 }] } },
    Endpoint: {
      Ports: [{ TargetPort: 80, PublishedPort: 8080 }],
      VirtualIPs: [{ NetworkID: "mesh", Addr: "10.0.0.5/24" }],
    },
  });
  tx.create("service", { ID: "other", Spec: { Name: "other" } });
  deepStrictEqual(networkDetails(tx, tx.get("network", "mesh")!, true)["Services"], {
    web: { VIP: "10.0.0.5", Ports: ["Target: 80, Publish: 8080"], LocalLBIndex: 0, Tasks: [] },
  });
});
