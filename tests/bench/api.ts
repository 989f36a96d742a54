import { until } from "../../src/adapters/lab_hosts/process.ts";
import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { percentile, printTable } from "./figures.ts";

const SERVICES = 1_000;
const REPLICAS = 10;
const REQUESTS = 100;
const WARM_UP = 3;
/** Creations at once. */
const IN_FLIGHT = 8;
const ROUTES = ["/v1.41/services", "/v1.41/tasks", "/v1.41/nodes"];
/** Nothing runs: no node meets it, so that both hold 10,000 tasks that wait. */
const NOWHERE = "node.labels.nowhere==yes";

/** Who answers, and the processes that hold the objects. */
interface Side {
  readonly name: string;
  readonly socket: string;
  readonly pid: number;
}

/**
 * Lists of a manager with 1,000 services and 10,000 tasks: time to the last byte, and memory; fleet on one host and
 * Docker Swarm, dockerd's own, on another, with the same objects, asked in turn.
 */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 2);
  try {
    const [first, second] = lab.lab.hosts;
    await lab.fleet("h1", "init", "--advertise-addr", first!.address);
    const { code, stderr } = await second!.docker([
      ...["swarm", "init", "--advertise-addr", second!.address],
    ]);
    if (code !== 0) throw new Error(stderr);
    const sides: readonly Side[] = [
      side("fleet", first!, first!.layout.fleetSocket, "agent"),
      side("dockerd", second!, second!.layout.engineSocket, "dockerd"),
    ];
    const before = sides.map(({ pid }) => rssMiB(pid));
    for (const { name, socket } of sides) {
      const at = performance.now();
      await fill(socket);
      console.log(`${name}: filled in ${((performance.now() - at) / 1000).toFixed(1)} s`);
    }
    const clients = sides.map(({ socket }) =>
      Deno.createHttpClient({ proxy: { transport: "unix", path: socket } })
    );
    const rows = [[
      "GET",
      ...sides.flatMap(({ name }) => [`${name} p50`, "p99", "bytes"]),
      "p50 ratio",
    ]];
    for (const route of ROUTES) {
      const times: number[][] = sides.map(() => []);
      const sizes: number[] = sides.map(() => 0);
      for (let n = -WARM_UP; n < REQUESTS; n++) {
        for (const i of sides.keys()) {
          const at = performance.now();
          sizes[i] = await list(clients[i]!, route);
          if (n >= 0) times[i]!.push(performance.now() - at);
        }
      }
      rows.push([
        route,
        ...times.flatMap((all, i) => [
          `${percentile(all, 0.5).toFixed(1)} ms`,
          `${percentile(all, 0.99).toFixed(1)} ms`,
          `${sizes[i]}`,
        ]),
        (percentile(times[0]!, 0.5) / percentile(times[1]!, 0.5)).toFixed(2),
      ]);
    }
    for (const client of clients) client.close();
    printTable(rows);
    for (const [i, { name, pid }] of sides.entries()) {
      const now = rssMiB(pid);
      const peak = Number(/VmHWM:\s+(\d+)/.exec(status(pid))?.[1]) / 1024;
      console.log(
        `${name}: RSS ${now.toFixed(0)} MiB, ${
          (now - before[i]!).toFixed(0)
        } MiB more than empty, peak ${peak.toFixed(0)} MiB`,
      );
    }
  } finally {
    await lab.lab.hosts[1]?.docker(["swarm", "leave", "--force"]);
    await lab.down();
  }
}

function side(name: string, host: LabHost, socket: string, process: "agent" | "dockerd"): Side {
  const pid = host.pid(process);
  if (pid === undefined) throw new Error(`${name} does not run`);
  return { name, socket, pid };
}

/** Makes all services, and waits until their tasks are there and wait for a node. */
async function fill(socket: string): Promise<void> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const call = async (path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`http://docker${path}`, {
      client,
      ...(body === undefined ? {} : {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    } as RequestInit);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };
  let next = 0;
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
      while (next < SERVICES) {
        // Since 1.30 it is the client that asks a registry for the image's digest.
        await call("/v1.41/services/create", service(next++));
      }
    }));
    await until(
      "all tasks wait",
      async () => {
        const tasks = await call("/v1.41/tasks") as { Status: { State: string; Err?: string } }[];
        return tasks.length === SERVICES * REPLICAS &&
          tasks.every(({ Status }) => Status.State === "pending" && Status.Err);
      },
      300_000,
      2_000,
    );
  } finally {
    client.close();
  }
}

function service(n: number): unknown {
  return {
    Name: `service-${n}`,
    Labels: { "com.docker.stack.namespace": `stack-${n % 50}` },
    TaskTemplate: {
      ContainerSpec: { Image: "busybox:latest", Args: ["sleep", "1000"], Env: [`NUMBER=${n}`] },
      Placement: { Constraints: [NOWHERE] },
    },
    Mode: { Replicated: { Replicas: REPLICAS } },
  };
}

/** The length of the answer, once all of it is there. */
async function list(client: Deno.HttpClient, route: string): Promise<number> {
  const response = await fetch(`http://docker${route}`, { client } as RequestInit);
  if (!response.ok) throw new Error(`${route}: ${response.status}`);
  return (await response.arrayBuffer()).byteLength;
}

const status = (pid: number): string => Deno.readTextFileSync(`/proc/${pid}/status`);
const rssMiB = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(status(pid))?.[1]) / 1024;
