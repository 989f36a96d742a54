import assert from "node:assert/strict";
import { importLines, planImport } from "./plan.ts";
import type { ClusterPicture } from "./plan.ts";

const meta = (ID: string, Spec: Record<string, unknown>) =>
  ({ ID, Version: { Index: 1 }, CreatedAt: "", UpdatedAt: "", Spec }) as never;

const EMPTY: ClusterPicture = { networks: [], secrets: [], configs: [], services: [], nodes: [] };
const OPTIONS = { secretData: new Set<string>(), stopped: false, keepSubnets: true };

const node = (ID: string, Hostname: string, Labels: Record<string, string>) =>
  ({ ...(meta(ID, { Labels }) as object), Description: { Hostname } }) as never;

const SWARM: ClusterPicture = {
  networks: [
    { Name: "ingress", Id: "i", Scope: "swarm", Driver: "overlay", Ingress: true },
    { Name: "bridge", Id: "b", Scope: "local", Driver: "bridge" },
    { Name: "mac", Id: "m", Scope: "swarm", Driver: "macvlan", ConfigFrom: { Network: "c" } },
    {
      Name: "back",
      Id: "n1",
      Scope: "swarm",
      Driver: "overlay",
      Attachable: true,
      IPAM: { Config: [{ Subnet: "10.3.0.0/24" }] },
      Options: { "com.docker.network.driver.overlay.vxlanid_list": "4097", encrypted: "" },
      Labels: { a: "b" },
    },
  ],
  secrets: [meta("s1", { Name: "pw" }), meta("s2", { Name: "vault", Driver: { Name: "v" } })],
  configs: [meta("c1", { Name: "conf", Data: "YQ==" })],
  services: [
    meta("w", {
      Name: "web",
      Mode: { Replicated: { Replicas: 3 } },
      TaskTemplate: {
        ContainerSpec: { Secrets: [{ SecretName: "vault" }], Configs: [{ ConfigName: "conf" }] },
        Networks: [{ Target: "n1", Aliases: ["w"] }],
      },
    }),
    meta("d", {
      Name: "db",
      TaskTemplate: { ContainerSpec: { Secrets: [{ SecretName: "pw" }, { SecretName: "vault" }] } },
    }),
    meta("p", { Name: "plug", TaskTemplate: { Runtime: "plugin" } }),
    meta("v", {
      Name: "csi",
      TaskTemplate: { ContainerSpec: { Mounts: [{ Type: "cluster", Target: "/x" }] } },
    }),
  ],
  nodes: [
    node("x1", "h1", { zone: "a", rack: "1" }),
    node("x2", "gone", { zone: "b" }),
    node("x3", "h3", {}),
  ],
};

Deno.test("an import creates what it can, and says what must be made by hand and what stays behind", () => {
  const to = { ...EMPTY, nodes: [node("y1", "h1", { zone: "mine" })] };
  const plan = planImport(SWARM, to, OPTIONS);
  assert.deepEqual(importLines(plan), [
    "create network back",
    "create secret vault",
    "create config conf",
    "create service web",
    "label node h1: rack=1",
    "secret pw must be made by hand, no Swarm tells its data: db wait for it",
    "left out: network mac: driver macvlan is set up node by node",
    "left out: service csi: it mounts a cluster volume (CSI)",
    "left out: service plug: it installs a plugin on the engines; install it on each node",
    "left out: labels zone=b of node gone: no such node has joined yet",
  ]);
  assert.deepEqual(plan.networks, [{
    Name: "back",
    Driver: "overlay",
    Internal: false,
    Attachable: true,
    Options: { encrypted: "" },
    Labels: { a: "b" },
    IPAM: { Driver: "default", Config: [{ Subnet: "10.3.0.0/24" }] },
  }]);
  assert.deepEqual(plan.services[0]!.TaskTemplate?.Networks, [{ Target: "back", Aliases: ["w"] }]);
});

Deno.test("once everything is there an import has nothing to do", () => {
  const there = { ...SWARM, services: [...SWARM.services] };
  const plan = planImport(SWARM, there, OPTIONS);
  assert.deepEqual(
    importLines(plan).filter((line) => !/is there already$/.test(line)),
    [],
  );
});

Deno.test("--secret-dir, --stopped and --new-subnets", () => {
  const plan = planImport(SWARM, EMPTY, {
    secretData: new Set(["pw"]),
    stopped: true,
    keepSubnets: false,
  });
  assert.equal(plan.missingSecrets.size, 0);
  assert.deepEqual(plan.services.map(({ Name, Mode }) => [Name, Mode?.Replicated?.Replicas]), [
    ["db", undefined],
    ["web", 0],
  ]);
  assert.equal(plan.services[1]!.Labels?.["fleet.stopped.replicas"], "3");
  assert.equal("IPAM" in plan.networks[0]!, false);
});
