/**
 * At least 50,000 requests, each on a connection of its own, while everything that a cluster does to a
 * service is done to it: rolling updates that start first, a drained node, scaling, the loss of the
 * leader. None may fail.
 *
 *     deno task load [--requests 50000]
 */
import { parseArgs } from "node:util";
import { withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";
import { startLoad } from "../support/http_load.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "./support/network_image.ts";
import { until } from "../support/until.ts";

const { values } = parseArgs({ options: { requests: { type: "string", default: "50000" } } });
const WANTED = Number(values.requests);
const REPLICAS = 20;
const CONNECTIONS = 4;
/** Rounds of everything, so that a slow machine ends too. */
const MAX_ROUNDS = 12;
const SERVE = "hostname >/www/index.html; exec httpd -f -p 80 -h /www";

/** Whoever leads by now, asked of any manager that answers. */
async function leader(lab: FleetLab): Promise<string> {
  for (const { name } of lab.lab.hosts) {
    const { code, stdout } = await lab.try(
      name,
      ...["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"],
    );
    const found = /^(\S+) Leader$/m.exec(stdout)?.[1];
    if (code === 0 && found) return found;
  }
  return "";
}

async function round(lab: FleetLab): Promise<void> {
  const at = await leader(lab);
  const fleet = (...args: string[]) => lab.fleet(at, ...args);
  await fleet("service", "update", "--quiet", "--force", "--no-resolve-image", "web");
  await lab.converged("web", REPLICAS, 180_000, at);
  const other = lab.lab.hosts.find(({ name }) => name !== at)!.name;
  await fleet("node", "update", "--availability", "drain", other);
  await until(
    `${other} is empty`,
    async () => (await lab.containers("web")).every(({ host }) => host !== other),
    180_000,
  );
  await lab.converged("web", REPLICAS, 180_000, at);
  await fleet("node", "update", "--availability", "active", other);
  await fleet("service", "scale", "--detach", "web=6");
  await lab.converged("web", 6, 180_000, at);
  await fleet("service", "scale", "--detach", `web=${REPLICAS}`);
  await lab.converged("web", REPLICAS, 180_000, at);
  // The leader goes in the middle of an update, which the next one ends.
  await fleet("service", "update", "--detach", "--force", "--no-resolve-image", "web");
  await lab.host(at).stop("agent", "SIGKILL");
  await until("another one leads", async () => !["", at].includes(await leader(lab)));
  await lab.host(at).startAgent();
  await until("the update is over", async () => {
    const { stdout } = await lab.try(
      await leader(lab),
      ...["service", "inspect", "--format", "{{.UpdateStatus.State}}", "web"],
    );
    return stdout.trim() === "completed";
  }, 240_000);
}

await withFleetLab("load", 3, async (lab) => {
  await lab.form({ managers: 3 });
  await loadNetworkImage(lab.lab.hosts);
  await lab.docker(
    "h1",
    ...["service", "create", "--detach", "--no-resolve-image", "--name", "web"],
    ...["--replicas", `${REPLICAS}`, "--publish", "8080:80", "--stop-grace-period", "1s"],
    ...["--update-order", "start-first", "--update-parallelism", "4"],
    ...["--health-cmd", "curl -sf http://127.0.0.1/", "--health-interval", "500ms"],
    ...[NETWORK_IMAGE, "sh", "-c", SERVE],
  );
  await lab.converged("web", REPLICAS, 180_000);
  const targets = lab.lab.hosts.map(({ address }) => `${address}:8080`);
  let [good, bad, rounds] = [0, 0, 0];
  for (; good < WANTED && rounds < MAX_ROUNDS; rounds++) {
    const loads = await Promise.all(
      lab.lab.hosts.map(({ name }) =>
        startLoad(lab.host(name), { connections: CONNECTIONS, targets })
      ),
    );
    let failure: unknown;
    await round(lab).catch((error: unknown) => failure = error);
    for (const result of await Promise.all(loads.map((load) => load.stop()))) {
      good += result.good;
      bad += result.bad;
      for (const [said, count] of Object.entries(result.failures)) console.log(`${count}x ${said}`);
      console.log(`  p50 ${result.p50} ms, p99 ${result.p99} ms`);
    }
    if (failure !== undefined) throw failure;
    console.log(`round ${rounds + 1}: ${good} good, ${bad} bad`);
  }
  console.log(`${good} requests answered, ${bad} failed, in ${rounds} rounds`);
  if (bad > 0 || good < WANTED) Deno.exitCode = 1;
});
