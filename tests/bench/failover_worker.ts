import { until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { median, printTable } from "./figures.ts";
import { formSwarm, leaveSwarm, swarmRunning } from "./swarm_peer.ts";

const ROUNDS = 5;
const REPLICAS = 6;
/** Attempts to get tasks onto h3. */
const MAX_SPREADS = 5;
const IMAGE = ["busybox:latest", "sleep", "100000"];

/** A worker's agent and engine killed, until all its tasks run elsewhere: fleet, then Docker Swarm. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 3);
  const times: { fleet: number[]; swarm: number[] } = { fleet: [], swarm: [] };
  const elsewhere = async (label: string) => {
    const all = await Promise.all(
      ["h1", "h2"].map((name) => lab.host(name).docker(["ps", "-q", "--filter", `label=${label}`])),
    );
    return all.flatMap(({ stdout }) => stdout.trim().split("\n").filter(Boolean)).length;
  };
  try {
    await lab.form();
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
      String(REPLICAS),
      ...IMAGE,
    );
    for (let round = 0; round < ROUNDS; round++) {
      await lab.fleet(
        "h1",
        "service",
        "update",
        "-d",
        "-q",
        "--force",
        "--update-parallelism",
        "0",
        "--stop-grace-period",
        "0s",
        "web",
      );
      await until(
        "on h3",
        async () => (await lab.containers("web")).some(({ host }) => host === "h3"),
        60_000,
      );
      await lab.converged("web", REPLICAS);
      lab.host("h3").signal("agent", "SIGKILL");
      await lab.host("h3").killEngine();
      const at = performance.now();
      await until(
        "elsewhere",
        async () => await elsewhere("com.docker.swarm.service.name=web") === REPLICAS,
        60_000,
        20,
      );
      times.fleet.push(performance.now() - at);
      await lab.host("h3").startEngine();
      await lab.host("h3").stop("agent", "SIGKILL");
      await lab.host("h3").startAgent();
      await until(
        "h3 back",
        async () => /h3 +Ready/.test(await lab.fleet("h1", "node", "ls")),
        30_000,
      );
    }
    await lab.fleet("h1", "service", "rm", "web");
    // Swarm's containers have the same labels.
    await until("no containers", async () => (await lab.containers("web")).length === 0, 60_000);
    for (const host of lab.lab.hosts) await host.stop("agent");
    await formSwarm(lab.lab, 1);
    const first = lab.host("h1");
    await first.docker([
      "service",
      "create",
      "-d",
      "--no-resolve-image",
      "--name",
      "web",
      "--replicas",
      String(REPLICAS),
      "--stop-grace-period",
      "0s",
      ...IMAGE,
    ]);
    for (let round = 0; round < ROUNDS; round++) {
      await spreadBySwarm(lab);
      await lab.host("h3").killEngine();
      const at = performance.now();
      await until(
        "elsewhere",
        async () => await elsewhere("com.docker.swarm.service.name=web") === REPLICAS,
        60_000,
        20,
      );
      times.swarm.push(performance.now() - at);
      await lab.host("h3").startEngine();
      await until(
        "h3 back",
        async () => /h3 +Ready/.test((await first.docker(["node", "ls"])).stdout),
        30_000,
      );
    }
    await leaveSwarm(lab.lab);
  } finally {
    await lab.down();
  }
  printTable([
    ["worker killed -> all tasks elsewhere", "median", "max", "rounds"],
    ...Object.entries(times).map(([who, ms]) => [
      who,
      `${(median(ms) / 1000).toFixed(1)} s`,
      `${(Math.max(...ms) / 1000).toFixed(1)} s`,
      String(ROUNDS),
    ]),
  ]);
}

/** Updates until h3 has tasks, too: Swarm moves none to a node that comes back, and refuses an update while it notes its end. */
async function spreadBySwarm(lab: FleetLab): Promise<void> {
  const update = ["service", "update", "-d", "--force", "--update-parallelism", "0", "web"];
  for (let attempt = 0; attempt < MAX_SPREADS; attempt++) {
    await until(
      "Swarm takes the update",
      async () => (await lab.host("h1").docker(update)).code === 0,
      60_000,
    );
    const onH3 = async () => (await lab.host("h3").docker(["ps", "-q"])).stdout.trim() !== "";
    const seen = await until("on h3", onH3, 20_000).then(() => true, () => false);
    if (!seen) continue;
    await swarmRunning(lab.lab, "web", REPLICAS);
    return;
  }
  throw new Error(`Swarm placed nothing on h3 in ${MAX_SPREADS} updates`);
}
