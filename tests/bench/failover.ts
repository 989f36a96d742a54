import { until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { median, printTable } from "./figures.ts";
import { formSwarm, leaveSwarm } from "./swarm_peer.ts";

const ROUNDS = 20;
/** Docker Swarm takes about ten seconds a round. */
const PEER_ROUNDS = 5;
const POLL_MS = 5;

/** The leader killed, until another manager accepts a write: fleet, then Docker Swarm on the same engines. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  const rows = [["leader killed -> next accepted write", "median", "max", "rounds"]];
  try {
    await lab.form({ managers: 3 });
    rows.push(row("fleet", await fleetRounds(lab)));
    for (const host of lab.lab.hosts) await host.stop("agent");
    await formSwarm(lab.lab, 3);
    rows.push(row("Docker Swarm", await swarmRounds(lab)));
    await leaveSwarm(lab.lab);
  } finally {
    await lab.down();
  }
  printTable(rows);
}

function row(name: string, times: readonly number[]): string[] {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  return [name, ms(median(times)), ms(Math.max(...times)), String(times.length)];
}

async function fleetRounds(lab: FleetLab): Promise<number[]> {
  const times: number[] = [];
  const back = () =>
    until(
      "three managers",
      async () => (await lab.try("h1", "info")).stdout.includes("3 managers, 3 reachable"),
      30_000,
    );
  await back();
  for (let round = 0; round < ROUNDS; round++) {
    const names = ["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"];
    const leader = /^(\S+) Leader$/m.exec(await lab.fleet("h1", ...names))![1]!;
    const other = leader === "h1" ? "h2" : "h1";
    lab.host(leader).signal("agent", "SIGKILL");
    times.push(await untilAccepted(lab.host(other).layout.fleetSocket));
    await lab.host(leader).stop("agent", "SIGKILL");
    await lab.host(leader).startAgent();
    await back();
  }
  return times;
}

async function swarmRounds(lab: FleetLab): Promise<number[]> {
  const times: number[] = [];
  const nodes = async (host: string) =>
    (await lab.host(host).docker([
      ...["node", "ls", "--format", "{{.Hostname}} {{.Status}} {{.ManagerStatus}}"],
    ])).stdout;
  const back = () =>
    until("three managers", async () => {
      const lines = (await nodes("h1")).trim().split("\n");
      return lines.filter((line) => /Ready (Leader|Reachable)$/.test(line)).length === 3;
    }, 60_000);
  await back();
  for (let round = 0; round < PEER_ROUNDS; round++) {
    const leader = /^(\S+) \S+ Leader$/m.exec(await nodes("h1"))![1]!;
    const other = leader === "h1" ? "h2" : "h1";
    lab.host(leader).signal("dockerd", "SIGKILL");
    times.push(await untilAccepted(lab.host(other).layout.engineSocket));
    await lab.host(leader).stop("dockerd", "SIGKILL");
    await lab.host(leader).startEngine();
    await back();
  }
  return times;
}

let count = 0;

/** Milliseconds until a write through the HTTP API at `socket` is accepted; both speak the same API. */
async function untilAccepted(socket: string): Promise<number> {
  const at = performance.now();
  await until("a write is accepted", () => accepts(socket), 60_000, POLL_MS);
  return performance.now() - at;
}

async function accepts(socket: string): Promise<boolean> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  try {
    const response = await fetch("http://127.0.0.1/configs/create", {
      method: "POST",
      client,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ Name: `round-${count++}`, Data: "eA==" }),
    } as RequestInit);
    await response.text();
    return response.status === 201;
  } catch {
    return false;
  } finally {
    client.close();
  }
}
