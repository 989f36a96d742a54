import assert from "node:assert/strict";
import { Hono } from "hono";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { doctorRoutes } from "./doctor.ts";

type Row = { Service: string; State: string; OK: boolean; Reason: string };

/** Asks about one node with these problems and services; every connection ends as `probed`. */
async function ask(
  problems: string[],
  services: readonly { name: string; port: object; replicas?: number; tasksOn?: string[] }[],
  probed: "open" | "refused" = "refused",
): Promise<Record<string, Row>> {
  const tables: Record<string, readonly object[]> = {
    node: [{
      ID: "n1",
      Spec: {},
      Status: { State: "ready", Addr: "10.0.0.1" },
      Description: { Hostname: "h1", Overlay: { Problems: problems } },
    }],
    network: [{ ID: "mesh", Spec: { Name: "my-mesh", Ingress: true } }],
    service: services.map(({ name, port, replicas = 1 }) => ({
      ID: name,
      Spec: {
        Name: name,
        Mode: { Replicated: { Replicas: replicas } },
        Labels: name === "local" ? { "fleet.source": "node-local" } : {},
      },
      Endpoint: { Ports: [{ TargetPort: 80, ...port }] },
    })),
  };
  const view = {
    all: (table: string) => tables[table],
    tasksOfService: (id: string) =>
      (services.find(({ name }) => name === id)?.tasksOn ?? ["n1"]).map((NodeID) => ({
        NodeID,
        Status: { State: "running" },
        DesiredState: "running",
      })),
  } as unknown as View;
  const app = new Hono();
  const backend = {
    read: (what: (view: View) => unknown) => Promise.resolve({ value: what(view) }),
  };
  doctorRoutes(app, backend as unknown as Backend, () => Promise.resolve(probed));
  const response = await app.request("/fleet/doctor/ingress");
  const { Results } = await response.json() as { Results: Row[] };
  return Object.fromEntries(Results.map((row) => [row.Service, row]));
}

const web = { name: "web", port: { PublishedPort: 8080 } };

Deno.test("doctor ingress: why a port is not answered is what its node says of the mesh, whatever its name", async () => {
  const others = [
    "network back: busy",
    "port 9/tcp of service x is in use by y",
    "port 8080/tcp of service web2 is z",
  ];
  const reason = async (...problems: string[]) =>
    (await ask([...others, ...problems], [web])).web!.Reason;
  assert.equal(await reason("network my-mesh: no room"), "network my-mesh: no room");
  assert.equal(await reason("the kernel has no IPVS"), "the kernel has no IPVS");
  const own = "port 8080/tcp of service web is in use by nginx";
  assert.equal(await reason("the kernel has no IPVS", own), own);
  assert.match(await reason(), /^refused: /);
});

Deno.test("doctor ingress: what is open fails only for what the node says of that port", async () => {
  const open = async (...problems: string[]) => (await ask(problems, [web], "open")).web!.State;
  assert.equal(await open("network my-mesh: no room"), "open");
  assert.equal(await open("port 8080/tcp of service web is answered by the mesh, so x"), "failed");
  assert.equal(
    await open("port 8080/tcp of service web is not answered over IPv6 on this node: x"),
    "open",
  );
});

Deno.test("doctor ingress: what is not tried fails only for more than IPv6", async () => {
  const udp = { name: "web", port: { PublishedPort: 8080, Protocol: "udp" } } as const;
  const asked = async (problem: string) => {
    const { State, Reason } = (await ask([problem], [udp])).web!;
    return [State, Reason];
  };
  const ipv6 = "port 8080/udp of service web is not answered over IPv6 on this node: x";
  assert.deepEqual(await asked(ipv6), ["untried", ipv6]);
  const own = "port 8080/udp of service web is in use by nginx";
  assert.deepEqual(await asked(own), ["failed", own]);
});

Deno.test("doctor ingress: nobody has to act where nobody shall answer, and UDP is not tried", async () => {
  const found = await ask([], [
    { name: "none", port: { PublishedPort: 1 }, replicas: 0, tasksOn: [] },
    { name: "gone", port: { PublishedPort: 2 }, tasksOn: [] },
    { name: "local", port: { PublishedPort: 3 }, tasksOn: ["n2"] },
    { name: "udp", port: { PublishedPort: 4, Protocol: "udp" } },
  ]);
  const states = Object.values(found).map(({ Service, State, OK }) => [Service, State, OK]);
  assert.deepEqual(states, [
    ["none", "idle", true],
    ["gone", "failed", false],
    ["local", "idle", true],
    ["udp", "untried", true],
  ]);
});
