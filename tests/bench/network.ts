import { until } from "../../src/adapters/lab_hosts/process.ts";
import type { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "../lab/support/network_image.ts";
import { median, percentile, printTable } from "./figures.ts";
import { formSwarm, leaveSwarm, swarmRunning } from "./swarm_peer.ts";

const ROUNDS = 3;
const SECONDS = 4;
const REQUESTS = 1_000;
const HOST_PORT = 5_300;

interface Figures {
  readonly gbits: number[];
  readonly times: number[];
}

/**
 * Between containers on two hosts: TCP throughput (iperf3, one stream) and the time of HTTP requests on one
 * connection. fleet's overlay, Docker Swarm's on the same engines, and the hosts' own cable as the limit. Swarm is
 * measured without virtual addresses, which need IPVS in the kernel; fleet also with one.
 */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 2);
  const found: Record<string, Figures> = {};
  const of = (name: string) => found[name] ??= { gbits: [], times: [] };
  try {
    await loadNetworkImage(lab.lab.hosts, ["iperf3"]);
    for (let round = 0; round < ROUNDS; round++) {
      await measureHosts(lab.lab, of("cable between the hosts"));
      await lab.form();
      await create(lab.lab, true);
      await lab.converged("server", 1);
      await lab.converged("client", 1);
      await measure(lab.lab, "tasks.server", of("fleet"));
      await measure(lab.lab, "server", of("fleet, by virtual address"));
      for (const service of ["server", "client"]) await lab.fleet("h1", "service", "rm", service);
      for (const host of ["h2", "h1"]) await lab.fleet(host, "leave", "--force");
      await until("no containers", async () => (await lab.containers("server")).length === 0);
      for (const host of lab.lab.hosts) await host.stop("agent");
      await formSwarm(lab.lab, 1);
      await create(lab.lab, false);
      await swarmRunning(lab.lab, "server", 1);
      await swarmRunning(lab.lab, "client", 1);
      await measure(lab.lab, "server", of("Docker Swarm"));
      await leaveSwarm(lab.lab);
      for (const host of lab.lab.hosts) await host.startAgent();
    }
    const swarm = of("Docker Swarm");
    printTable([
      ["between two hosts", "TCP", "of Swarm's", "request p50", "p99", "p50 of Swarm's"],
      ...Object.entries(found).map(([name, { gbits, times }]) => [
        name,
        `${median(gbits).toFixed(2)} Gbit/s`,
        (median(gbits) / median(swarm.gbits)).toFixed(2),
        `${(median(times) * 1e6).toFixed(0)} µs`,
        `${(percentile(times, 0.99) * 1e6).toFixed(0)} µs`,
        (median(times) / median(swarm.times)).toFixed(2),
      ]),
    ]);
  } finally {
    await lab.down();
  }
}

/** A server on h1 and a client on h2, by the engine's own swarm or by fleet. */
async function create(lab: Lab, fleet: boolean): Promise<void> {
  const [h1] = lab.hosts;
  const docker = async (...args: string[]) => {
    const { code, stderr } = fleet
      ? await h1!.exec(["docker", "-H", `unix://${h1!.layout.fleetSocket}`, ...args])
      : await h1!.docker(args);
    if (code !== 0) throw new Error(stderr);
  };
  await docker("network", "create", "-d", "overlay", "speed");
  const service = ["service", "create", "--detach", "--no-resolve-image", "--network", "speed"];
  const at = (host: string) => ["--constraint", `node.hostname==${host}`];
  const mode = fleet ? [] : ["--endpoint-mode", "dnsrr"];
  const serve = "echo hello >/www/index.html; httpd -p 80 -h /www; exec iperf3 -s";
  await docker(
    ...[...service, "--name", "server", ...mode, ...at("h1"), NETWORK_IMAGE, "sh", "-c", serve],
  );
  await docker(
    ...[...service, "--name", "client", ...mode, ...at("h2"), NETWORK_IMAGE, "sleep", "100000"],
  );
}

async function measure(lab: Lab, server: string, figures: Figures): Promise<void> {
  const h2 = lab.hosts[1]!;
  const ps = ["ps", "-q", "--filter", "label=com.docker.swarm.service.name=client"];
  const id = (await h2.docker(ps)).stdout.trim();
  const inside = async (script: string) => {
    const { code, stdout, stderr } = await h2.docker(["exec", id, "sh", "-c", script]);
    if (code !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
    return stdout;
  };
  await until("the server answers", async () => {
    const { code } = await h2.docker(["exec", id, "curl", "-sf", "-m", "2", `http://${server}/`]);
    return code === 0;
  }, 30_000);
  figures.gbits.push(gbits(await inside(`iperf3 -c ${server} -t ${SECONDS} -J`)));
  figures.times.push(...times(await inside(requests(`http://${server}/`))));
}

async function measureHosts(lab: Lab, figures: Figures): Promise<void> {
  const [h1, h2] = lab.hosts;
  const start = (...args: string[]) =>
    new Deno.Command("nsenter", {
      args: ["-t", String(h1!.pid("dockerd")), "-n", ...args],
      stdin: "null",
      stdout: "null",
    }).spawn();
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/index.html`, "hello\n");
  const servers = [
    start("iperf3", "-s", "-p", `${HOST_PORT}`),
    start("busybox", "httpd", "-f", "-p", `${HOST_PORT + 1}`, "-h", folder),
  ];
  try {
    const at = h1!.address;
    await until("the server answers", async () => {
      const asked = await h2!.exec(["curl", "-sf", "-m", "2", `http://${at}:${HOST_PORT + 1}/`]);
      const listening = await h1!.exec(["ss", "-Hltn", `sport = :${HOST_PORT}`]);
      return asked.code === 0 && listening.stdout !== "";
    });
    const iperf = ["iperf3", "-c", at, "-p", `${HOST_PORT}`, "-t", `${SECONDS}`, "-J"];
    figures.gbits.push(gbits((await h2!.exec(iperf)).stdout));
    const asked = await h2!.exec(["sh", "-c", requests(`http://${at}:${HOST_PORT + 1}/`)]);
    figures.times.push(...times(asked.stdout));
  } finally {
    for (const server of servers) {
      server.kill("SIGKILL");
      await server.status;
    }
    await Deno.remove(folder, { recursive: true });
  }
}

/** One process of curl; each line of its output is the time of one request, in seconds. */
function requests(url: string): string {
  return `curl -sS -m 60 -o /dev/null -w '%{time_total}\\n' '${url}?[1-${REQUESTS}]'`;
}

/** Without the first, which connects. */
function times(output: string): number[] {
  const found = output.trim().split("\n").map(Number).slice(1);
  if (found.length !== REQUESTS - 1 || found.some(Number.isNaN)) throw new Error(output);
  return found;
}

function gbits(json: string): number {
  const { end, error } = JSON.parse(json) as {
    error?: string;
    end: { sum_received?: { bits_per_second: number } };
  };
  if (!end.sum_received) throw new Error(error ?? json);
  return end.sum_received.bits_per_second / 1e9;
}
