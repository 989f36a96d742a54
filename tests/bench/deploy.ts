import { until } from "../../src/adapters/lab_hosts/process.ts";
import type { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { median, printTable, timed } from "./figures.ts";
import { formSwarm, leaveSwarm, swarmRunning } from "./swarm_peer.ts";

const ROUNDS = 3;
const SIZES = [30, 100];
/** Containers that `docker run` makes at once on each host, as fleet does. */
const IN_FLIGHT = 4;
const IMAGE = ["busybox:latest", "sleep", "100000"];

/** A service of 30 and 100 replicas on three hosts, until all run: engines alone, fleet, Docker Swarm. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  const seconds = new Map<string, number[]>();
  const note = (who: string, size: number, ms: number) => {
    const key = `${who} ${size}`;
    seconds.set(key, [...(seconds.get(key) ?? []), ms / 1000]);
    console.log(`${who}, ${size} replicas: ${(ms / 1000).toFixed(2)} s`);
  };
  try {
    await lab.form();
    for (let round = 0; round < ROUNDS; round++) {
      for (const size of SIZES) {
        note("plain", size, await timed(() => plain(lab.lab, size)));
        await clear(lab.lab);
        note("fleet", size, await timed(() => fleet(lab, size)));
        await lab.fleet("h1", "service", "rm", "web");
        await until("empty", async () => (await lab.containers("web")).length === 0, 60_000, 200);
      }
    }
    for (const host of lab.lab.hosts) await host.stop("agent");
    await formSwarm(lab.lab, 1);
    for (let round = 0; round < ROUNDS; round++) {
      for (const size of SIZES) {
        note("swarm", size, await timed(() => swarm(lab.lab, size)));
        await lab.lab.hosts[0]!.docker(["service", "rm", "web"]);
        await until(
          "empty",
          async () => {
            const all = await Promise.all(lab.lab.hosts.map((host) => host.docker(["ps", "-aq"])));
            return all.every(({ stdout }) => stdout.trim() === "");
          },
          120_000,
          200,
        );
      }
    }
    await leaveSwarm(lab.lab);
  } finally {
    await lab.down();
  }
  const at = (who: string, size: number) => median(seconds.get(`${who} ${size}`) ?? []);
  printTable([
    ["replicas", "plain", "fleet", "swarm", "fleet/plain", "fleet/swarm"],
    ...SIZES.map((size) => [
      String(size),
      `${at("plain", size).toFixed(2)} s`,
      `${at("fleet", size).toFixed(2)} s`,
      `${at("swarm", size).toFixed(2)} s`,
      (at("fleet", size) / at("plain", size)).toFixed(2),
      (at("fleet", size) / at("swarm", size)).toFixed(2),
    ]),
  ]);
}

async function plain(lab: Lab, size: number): Promise<void> {
  let next = 0;
  const worker = async (host: Lab["hosts"][number]) => {
    while (next < size) {
      next++;
      const { code, stderr } = await host.docker(["run", "-d", ...IMAGE]);
      if (code !== 0) throw new Error(stderr);
    }
  };
  await Promise.all(
    lab.hosts.flatMap((host) => Array.from({ length: IN_FLIGHT }, () => worker(host))),
  );
}

async function clear(lab: Lab): Promise<void> {
  await Promise.all(lab.hosts.map(async (host) => {
    const ids = (await host.docker(["ps", "-aq"])).stdout.trim().split("\n").filter(Boolean);
    if (ids.length > 0) await host.docker(["rm", "-f", ...ids]);
  }));
}

async function fleet(lab: FleetLab, size: number): Promise<void> {
  await lab.fleet(
    "h1",
    "service",
    "create",
    "-d",
    "-q",
    "--no-resolve-image",
    "--name",
    "web",
    "--replicas",
    String(size),
    "--stop-grace-period",
    "0s",
    ...IMAGE,
  );
  await until("running", async () => (await lab.running("web")).length === size, 120_000, 50);
}

async function swarm(lab: Lab, size: number): Promise<void> {
  const { code, stderr } = await lab.hosts[0]!.docker([
    "service",
    "create",
    "-d",
    "-q",
    "--no-resolve-image",
    "--name",
    "web",
    "--replicas",
    String(size),
    "--stop-grace-period",
    "0s",
    ...IMAGE,
  ]);
  if (code !== 0) throw new Error(stderr);
  await swarmRunning(lab, "web", size);
}
