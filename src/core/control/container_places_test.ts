import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { Cluster } from "../../model/cluster.ts";
import type { Node } from "../../model/node.ts";
import { controlContext } from "../../../tests/support/control_context.ts";
import { startContainer, stopContainer } from "./container_places.ts";
import { attachContainer, createNetwork, networkUsers, removeNetwork } from "./networks.ts";

function world(address?: string) {
  const context = controlContext();
  const { tx } = context;
  tx.create("cluster", { ID: "c", Spec: { Name: "default" } } as Cluster);
  tx.create("node", { ID: "n1", Spec: {}, Status: { State: "ready" } } as unknown as Node);
  const spec = {
    Name: "back",
    Attachable: true,
    IPAMOptions: { Config: [{ Subnet: "10.0.0.0/24" }] },
  };
  const { id } = createNetwork(context, { spec });
  const { taskId } = attachContainer(context, {
    networkId: id,
    nodeId: "n1",
    name: "box",
    aliases: [],
    ...(address === undefined ? {} : { address }),
  });
  const task = tx.get("task", taskId)!;
  tx.update("task", {
    ...task,
    Status: { State: "running" },
    NetworksAttachments: [{
      ...task.NetworksAttachments![0]!,
      Addresses: [`${address ?? "10.0.0.5"}/24`],
      MAC: "02:42:0a:00:00:05",
    }],
  });
  const now = () => {
    const { Spec, NetworksAttachments } = tx.get("task", taskId)!;
    const { Addresses, MAC } = NetworksAttachments![0]!;
    return { ...Spec.NetworkAttachmentSpec, Addresses, MAC };
  };
  return { context, tx, network: id, taskId, now };
}

Deno.test("container places: one that stops gives its address back, and remembers it for its start", () => {
  const { context, taskId, now } = world();
  stopContainer(context, { taskId, nodeId: "n1", keepAddress: false });
  const idle = { Idle: true, LastAddress: "10.0.0.5", Addresses: undefined, MAC: undefined };
  deepStrictEqual(now(), idle);
  stopContainer(context, { taskId, nodeId: "n1", keepAddress: false });
  deepStrictEqual(now(), idle);
  startContainer(context, { taskId, nodeId: "n1" });
  const { Idle: _, ...wanting } = idle;
  deepStrictEqual(now(), wanting);
});

Deno.test("container places: one that the engine may start keeps its address, as does one with its own", () => {
  const kept = ["10.0.0.5/24"];
  const mac = "02:42:0a:00:00:05";
  const first = world();
  stopContainer(first.context, { taskId: first.taskId, nodeId: "n1", keepAddress: true });
  deepStrictEqual(first.now(), { Idle: true, Addresses: kept, MAC: mac });
  startContainer(first.context, { taskId: first.taskId, nodeId: "n1" });
  deepStrictEqual(first.now(), { Addresses: kept, MAC: mac });
  const chosen = world("10.0.0.9");
  stopContainer(chosen.context, { taskId: chosen.taskId, nodeId: "n1", keepAddress: false });
  deepStrictEqual(chosen.now(), {
    Fixed: true,
    Idle: true,
    Addresses: ["10.0.0.9/24"],
    MAC: mac,
  });
});

Deno.test("container places: only its own node may tell of one, and what is gone already is fine", () => {
  const { context, taskId } = world();
  const others = { taskId, nodeId: "n2", keepAddress: false };
  throws(() => stopContainer(context, others), /another node's/);
  throws(() => startContainer(context, others), /another node's/);
  strictEqual(stopContainer(context, { ...others, taskId: "gone" }), null);
});

Deno.test("container places: those that do not run hold no network up, and end with it", () => {
  const { context, tx, network, taskId } = world();
  deepStrictEqual(networkUsers(tx, network), ["container box on n1"]);
  throws(() => removeNetwork(context, { id: network }), /in use by container box on n1/);
  stopContainer(context, { taskId, nodeId: "n1", keepAddress: true });
  deepStrictEqual(networkUsers(tx, network), []);
  removeNetwork(context, { id: network });
  strictEqual(tx.get("task", taskId), undefined);
});
