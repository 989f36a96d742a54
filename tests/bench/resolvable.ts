import { killTree, until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { sample } from "../support/balance_watch.ts";
import type { Sample } from "../support/balance_watch.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "../lab/support/network_image.ts";
import { median, percentile, printTable } from "./figures.ts";

const HOSTS = ["h1", "h2", "h3"];
const ROUNDS = 50;

/**
 * From the moment at which an engine calls a new task healthy until every one of three nodes resolves its address and
 * balances over it. Names are asked for from inside a container of each node, the balancer's rules are listed.
 */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", HOSTS.length);
  const samplers: Deno.ChildProcess[] = [];
  try {
    await lab.form();
    await loadNetworkImage(lab.lab.hosts);
    await lab.docker("h1", "network", "create", "-d", "overlay", "back");
    const create = ["service", "create", "--detach", "--no-resolve-image", "--network", "back"];
    await lab.docker(
      ...["h1", ...create, "--name", "asker", "--mode", "global", NETWORK_IMAGE] as const,
      ...["sleep", "100000"],
    );
    await lab.docker(
      ...["h1", ...create, "--name", "web", "--stop-grace-period", "1s"] as const,
      ...["--health-cmd", "true", "--health-interval", "200ms", NETWORK_IMAGE, "sleep", "100000"],
    );
    await lab.converged("asker", HOSTS.length);
    await lab.converged("web", 1);
    const seen: Record<string, Sample> = {};
    for (const host of HOSTS) {
      for (const what of ["names", "rules"] as const) {
        const tell = (found: Sample) => seen[`${host} ${what}`] = found;
        samplers.push(await sample(lab, host, { network: "back", service: "web", what }, tell));
      }
    }
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await lab.docker("h1", "service", "scale", "--detach", "web=2");
      await lab.converged("web", 2);
      const healthy = await lastHealthy(lab);
      const size = (n: number) =>
        Object.keys(seen).length === 2 * HOSTS.length &&
        Object.values(seen).every(({ addresses }) => addresses.length === n);
      await until("known everywhere", () => size(2), 20_000, 5);
      times.push(Math.max(...Object.values(seen).map(({ at }) => at)) - healthy);
      await lab.docker("h1", "service", "scale", "--detach", "web=1");
      await lab.converged("web", 1);
      await until("forgotten everywhere", () => size(1), 20_000, 5);
    }
    printTable([
      ["healthy -> resolvable and balanced on 3 nodes", "median", "p99", "max"],
      [
        `${ROUNDS} tasks`,
        ...[median(times), percentile(times, 0.99), Math.max(...times)].map((ms) =>
          `${ms.toFixed(0)} ms`
        ),
      ],
    ]);
  } finally {
    for (const child of samplers) {
      killTree(child.pid);
      await child.status;
    }
    await lab.down();
  }
}

/** When the newest task of the service was found healthy, on the machine's clock. */
async function lastHealthy(lab: FleetLab): Promise<number> {
  const moments: number[] = [];
  for (const { host, id } of await lab.containers("web")) {
    const { stdout } = await lab.host(host).docker([
      "inspect",
      id,
      "--format",
      "{{json .State.Health.Log}}",
    ]);
    const log = JSON.parse(stdout) as { End: string; ExitCode: number }[];
    const started =
      (await lab.host(host).docker(["inspect", id, "--format", "{{.State.StartedAt}}"])).stdout
        .trim();
    // The log keeps five entries; of a container that is older the first are gone, and it is not the newest.
    const first = log.find(({ ExitCode }) => ExitCode === 0);
    if (first) moments.push(Math.max(Date.parse(first.End), Date.parse(started)));
  }
  return Math.max(...moments);
}
