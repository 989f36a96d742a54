import dgram from "node:dgram";
import { Buffer } from "node:buffer";
// @ts-types="../../src/adapters/dns/dns_packet.d.ts"
import packet from "dns-packet";
import { killTree, until } from "../../src/adapters/lab_hosts/process.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "../lab/support/network_image.ts";
import { median, percentile, printTable } from "./figures.ts";

const HOSTS = ["h1", "h2", "h3"];
const ROUNDS = 50;
const ASK_EVERY_MS = 10;
const LIST_EVERY_MS = 25;

/** What a node gives out for the service, as of a moment. */
interface Sample {
  readonly at: number;
  readonly addresses: readonly string[];
}

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
        samplers.push(await sample(lab, host, what, (found) => seen[`${host} ${what}`] = found));
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

/** Tells each change of what a node gives out. The process ends when it is killed. */
async function sample(
  lab: FleetLab,
  host: string,
  what: "names" | "rules",
  tell: (sample: Sample) => void,
): Promise<Deno.ChildProcess> {
  const asker = (await lab.containers("asker")).find((found) => found.host === host)!;
  const inspect = '{{.State.Pid}} {{(index .NetworkSettings.Networks "back").Gateway}}';
  const { stdout } = await lab.host(host).docker(["inspect", asker.id, "--format", inspect]);
  const [container, gateway] = stdout.trim().split(" ");
  // Inside the host the container's process has the number that its engine tells.
  const inside = what === "names" ? ["nsenter", "-t", container!, "-n"] : [];
  const child = new Deno.Command("nsenter", {
    args: [
      ...["-t", String(lab.host(host).pid("dockerd")), "-m", "-p", "-n", ...inside],
      ...[Deno.execPath(), "run", "-A", "--no-check", import.meta.filename!, what, gateway!],
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) tell(JSON.parse(line) as Sample);
    }
  })();
  return child;
}

/** Prints what changes, with the time at which it was first seen. */
async function watch(every: number, look: () => Promise<string[]>): Promise<void> {
  let last = "";
  for (;;) {
    const addresses = (await look()).sort();
    const at = Date.now();
    if (addresses.join() !== last) console.log(JSON.stringify({ at, addresses }));
    last = addresses.join();
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

async function askNames(server: string): Promise<void> {
  const socket = dgram.createSocket("udp4");
  let answered: (addresses: string[]) => void = () => {};
  socket.on("message", (message) => {
    const { answers = [] } = packet.decode(Buffer.from(message));
    answered(answers.map(({ data }) => String(data)));
  });
  const question = packet.encode({
    type: "query",
    id: 1,
    questions: [{ type: "A", name: "tasks.web" }],
  });
  await watch(ASK_EVERY_MS, () =>
    new Promise((resolve) => {
      answered = resolve;
      socket.send(question, 53, server);
    }));
}

/** Addresses behind the service's virtual address; the chain has its name as comment. */
async function listRules(): Promise<void> {
  await watch(LIST_EVERY_MS, async () => {
    const { stdout } = await new Deno.Command("nft", { args: ["list", "table", "ip", "fleet"] })
      .output();
    const chain = /chain vip-[\d-]+ \{\s*comment "web"[^}]*?(?:dnat to [^\n]*)/.exec(
      new TextDecoder().decode(stdout),
    );
    return chain?.[0].slice(chain[0].indexOf("dnat")).match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
  });
}

if (import.meta.main) {
  const [what, server] = Deno.args;
  await (what === "names" ? askNames(server!) : listRules());
}
