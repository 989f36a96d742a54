import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import type { NetworkSpec } from "../../model/network.ts";
import { OPTION } from "../../model/network.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Node } from "../../model/node.ts";
import { controlContext } from "../../../tests/support/control_context.ts";
import { createNetwork, removeNetwork } from "./networks.ts";

function world(cluster: Partial<Cluster> = {}) {
  const context = controlContext();
  const { tx } = context;
  tx.create("cluster", { ID: "c", Spec: { Name: "default" }, ...cluster } as Cluster);
  const create = (Name: string, more: Partial<NetworkSpec> = {}) => {
    const { id } = createNetwork(context, { spec: { Name, Labels: {}, ...more } });
    return tx.get("network", id)!;
  };
  const subnet = (Name: string, Config: Record<string, unknown>) =>
    create(Name, { IPAMOptions: { Config: [Config] } }).IPAMOptions!.Config![0]!;
  const option = (Name: string, key: string, value: string) =>
    create(Name, { Driver: { Name: "overlay", Options: { [key]: value } } });
  return { tx, context, create, subnet, option };
}

Deno.test("networks: subnets come from the pools and of the length that the cluster was made with", () => {
  const { create, subnet } = world({
    DefaultAddrPool: ["10.20.0.0/25", "10.30.0.0/16"],
    SubnetSize: 26,
  });
  const given = ["a", "b", "c"].map((name) => create(name).IPAMOptions?.Config?.[0]);
  deepStrictEqual(given, [
    { Subnet: "10.20.0.0/26", Gateway: "10.20.0.1" },
    { Subnet: "10.20.0.64/26", Gateway: "10.20.0.65" },
    { Subnet: "10.30.0.0/26", Gateway: "10.30.0.1" },
  ]);
  strictEqual(subnet("own", { Subnet: "10.30.0.64/26" }).Gateway, "10.30.0.65");
  strictEqual(create("next").IPAMOptions?.Config?.[0]?.Subnet, "10.30.0.128/26");
});

Deno.test("networks: when the pools are used up, the sentence says so and what helps", () => {
  const { create } = world({ DefaultAddrPool: ["10.20.0.0/28"], SubnetSize: 29 });
  create("a");
  create("b");
  throws(() => create("c"), /no subnet of length 29 is left .*10\.20\.0\.0\/28.*give --subnet/);
});

Deno.test("networks: what a machine is on already is nobody's subnet, given or chosen", () => {
  const { tx, create, subnet } = world({ DefaultAddrPool: ["10.0.0.0/16"], SubnetSize: 24 });
  const Overlay = { Addr: "10.0.0.7", Subnets: ["10.0.0.0/23"] };
  tx.create("node", {
    ID: "n1",
    Spec: {},
    Status: { State: "ready" },
    Description: { Hostname: "h1", Overlay },
  } as unknown as Node);
  throws(
    () => subnet("x", { Subnet: "10.0.1.0/24" }),
    /subnet 10\.0\.1\.0\/24 overlaps with 10\.0\.0\.0\/23 of node h1 itself/,
  );
  strictEqual(create("free").IPAMOptions?.Config?.[0]?.Subnet, "10.0.2.0/24");
  throws(() => subnet("y", { Subnet: "10.0.2.128/25" }), /overlaps with 10\.0\.2\.0\/24 .*free/);
});

Deno.test("networks: what a machine reaches through a router is left out of the choice while there is another", () => {
  const { tx, context, create } = world({ DefaultAddrPool: ["10.0.0.0/22"], SubnetSize: 24 });
  const node = (Routes: string[]) => ({
    ID: "n1",
    Spec: {},
    Status: { State: "ready" },
    Description: { Hostname: "h1", Overlay: { Routes } },
  } as unknown as Node);
  tx.create("node", node(["10.0.0.0/23"]));
  strictEqual(create("a").IPAMOptions?.Config?.[0]?.Subnet, "10.0.2.0/24");
  const warningOf = (Name: string, Subnet: string) =>
    createNetwork(context, { spec: { Name, IPAMOptions: { Config: [{ Subnet }] } } }).warning;
  match(warningOf("b", "10.0.1.0/24"), /overlaps with 10\.0\.0\.0\/23, which node h1 reaches/);
  strictEqual(warningOf("c", "10.0.3.0/24"), "");
  strictEqual(create("d").IPAMOptions?.Config?.[0]?.Subnet, "10.0.0.0/24");
});

Deno.test("networks: what a removed one had is not the next one's", () => {
  const { tx, context, create } = world({ DefaultAddrPool: ["10.0.0.0/22"], SubnetSize: 24 });
  const seen: string[] = [];
  const numbers = new Set<number>();
  for (let i = 0; i < 5; i++) {
    const { ID, VNI, IPAMOptions } = create("again");
    seen.push(IPAMOptions!.Config![0]!.Subnet!);
    numbers.add(VNI!);
    removeNetwork(context, { id: ID });
  }
  strictEqual(numbers.size, 5);
  deepStrictEqual(seen.slice(0, 4), ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]);
  // There is no other left.
  strictEqual(seen[4], "10.0.0.0/24");
  const cluster = tx.get("cluster", "c")!;
  strictEqual(cluster.RemovedNetworks?.length, 5);
});

Deno.test("networks: range, gateway and reserved addresses have to be inside the subnet", () => {
  const { subnet } = world();
  const Subnet = "10.9.0.0/24";
  const refused = (config: Record<string, unknown>, sentence: RegExp) =>
    throws(() => subnet("x", config), sentence);
  refused({ Subnet: "10.9.0.0/40" }, /invalid subnet "10\.9\.0\.0\/40"/);
  refused({ Subnet: "10.9.0.5/24" }, /it should be 10\.9\.0\.0\/24/);
  refused({ Subnet: "10.9.0.0/30" }, /length must be from 8 to 29/);
  refused({ Subnet: "fd00::/64" }, /IPv4 only/);
  refused({ IPRange: "10.9.0.0/28" }, /IPRange 10\.9\.0\.0\/28 needs a subnet/);
  refused({ Subnet, IPRange: "10.8.0.0/28" }, /IP range 10\.8\.0\.0\/28 is not inside/);
  refused({ Subnet, Gateway: "10.8.0.1" }, /gateway 10\.8\.0\.1 is no host address/);
  refused({ Subnet, Gateway: "10.9.0.255" }, /gateway 10\.9\.0\.255 is no host address/);
  refused({ Subnet, AuxiliaryAddresses: { a: "10.8.0.9" } }, /reserved address 10\.8\.0\.9/);
  refused({ Subnet, IPRange: "10.9.0.0/32" }, /range 10\.9\.0\.0\/32 .* has no room/);
  refused({ Subnet, IPRange: "10.9.0.0/31" }, /has no room/);
  refused(
    { Subnet, IPRange: "10.9.0.8/31", AuxiliaryAddresses: { a: "10.9.0.8", b: "10.9.0.9" } },
    /has no room/,
  );
  for (
    const special of ["127.5.0.0/24", "0.0.0.0/8", "224.1.0.0/16", "240.0.0.0/8", "169.254.7.0/24"]
  ) {
    refused({ Subnet: special }, /which no container can have; choose one of 10\.0\.0\.0\/8/);
  }
  const config = { Subnet, IPRange: "10.9.0.128/25", AuxiliaryAddresses: { a: "10.9.0.1" } };
  deepStrictEqual(subnet("good", config), { ...config, Gateway: "10.9.0.2" });
});

Deno.test("networks: an identifier is one network's, and the last one no network's", () => {
  const { create, option } = world();
  const first = create("a").VNI!;
  strictEqual(create("b").VNI, first + 1);
  throws(() => option("x", OPTION.vni, String(first)), /VNI \d+ is in use by network a/);
  throws(() => option("x", OPTION.vni, "16777215"), /one number from 1 to 16777214/);
  throws(() => option("x", OPTION.vni, "0x10"), /one number/);
  strictEqual(option("y", OPTION.vni, "16777214").VNI, 16_777_214);
  strictEqual(create("after").VNI, first + 2);
});

Deno.test("networks: reserved names, a second mesh and packets of no size are refused", () => {
  const { create, option } = world();
  for (const name of ["bridge", "host", "none", "default"]) {
    throws(() => create(name), new RegExp(`not permitted on predefined ${name} network`));
  }
  create("mesh", { Ingress: true });
  throws(() => create("mesh2", { Ingress: true }), /ingress network \(id1\) is already present/);
  throws(() => create("x", { Ingress: true, Attachable: true }), /cannot be attachable/);
  throws(() => create("mesh"), /already exists/);
  for (const mtu of ["575", "65486", "many", "-1"]) {
    throws(() => option("x", OPTION.mtu, mtu), /a number from 576 to 65485/);
  }
  strictEqual(option("small", OPTION.mtu, "1300").Spec.Driver?.Options?.[OPTION.mtu], "1300");
});

Deno.test("networks: one that a node cannot encrypt is refused, also while that node has yet to come back", () => {
  const { tx, create } = world();
  const node = (State: "ready" | "unknown" | "down") =>
    ({
      Spec: { Role: "worker" },
      Role: "worker",
      ID: "n9",
      Description: { Hostname: "h9", Overlay: { EncryptionProblem: "no ESP" } },
      Status: { State },
    }) as never;
  const encrypted = () => create("safe", { Driver: { Options: { encrypted: "" } } });
  tx.create("node", node("ready"));
  throws(encrypted, /node h9: no ESP/);
  tx.update("node", { ...tx.get("node", "n9")!, Status: { State: "unknown" } });
  throws(encrypted, /node h9: no ESP/);
  tx.update("node", { ...tx.get("node", "n9")!, Status: { State: "down" } });
  encrypted();
});

Deno.test("networks: one in use is kept, and the sentence names its users", () => {
  const { tx, context, create } = world();
  const { ID } = create("back");
  tx.create("service", {
    ID: "s1",
    Spec: { Name: "web", TaskTemplate: { Networks: [{ Target: ID }] } },
  });
  tx.create("task", {
    ID: "t1",
    Name: "guest",
    NodeID: "n1",
    Spec: { NetworkAttachmentSpec: {} },
    Status: { State: "running" },
    DesiredState: "running",
    NetworksAttachments: [{ NetworkID: ID, Name: "back" }],
  });
  let said = "";
  try {
    removeNetwork(context, { id: ID });
  } catch (error) {
    said = (error as Error).message;
  }
  match(said, /network back is in use by service web, container guest on n1/);
  tx.remove("service", "s1");
  tx.remove("task", "t1");
  removeNetwork(context, { id: ID });
  strictEqual(tx.get("network", ID), undefined);
});
