/**
 * `deno task rotations`: the root CA of three managers and three workers is changed under a service and under
 * writes; first undisturbed, then with the leader killed at each step of the way.
 */
import assert from "node:assert/strict";
import { compile } from "../../scripts/compile.ts";
import { setup } from "../../scripts/setup.ts";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { writeWithoutPause } from "../support/steady_writes.ts";
import { until } from "../support/until.ts";

const NODES = 6;
const MANAGERS = ["h1", "h2", "h3"];
const WORKERS = ["h4", "h5", "h6"];
const ROTATION_MS = 120_000;

interface TLSInfo {
  readonly TrustRoot?: string;
  readonly CertIssuerPublicKey?: string;
}
interface Swarm {
  readonly RootRotationInProgress: boolean;
  readonly TLSInfo: TLSInfo;
}
type Node = { readonly Description: { readonly TLSInfo: TLSInfo } };

await setup();
await compile();
await withFleetLab("rotations", NODES, async (lab) => {
  await lab.form({ managers: MANAGERS.length });
  // A killed manager's own tasks would move while it is away.
  await lab.fleet(
    "h1",
    ...["service", "create", "-d", "-q", "--no-resolve-image", "--replicas", "12"],
    ...["--constraint", "node.role==worker", "--name", "web", "busybox", "sleep", "100000"],
  );
  await lab.converged("web", 12);
  const containers = async () => (await lab.containers("web")).map(({ id }) => id).sort().join();
  const before = await containers();
  const nothingRestarted = async () => {
    if (await containers() === before) return;
    throw new Error(await lab.fleet("h1", "service", "ps", "--no-trunc", "web"));
  };

  const writes = writeWithoutPause(lab, MANAGERS);
  await lab.fleet("h1", "ca", "--rotate", "-q");
  const { count, failures } = await writes.stop();
  assert.deepEqual(failures, []);
  await nothingRestarted();
  // Frozen nodes shall not lose their tasks.
  await lab.fleet("h1", "update", "--dispatcher-heartbeat", "1m");
  console.log(`undisturbed: ${count} writes meanwhile, none failed, no task restarted`);

  for (let followed = 0; followed <= NODES; followed++) {
    const old = (await lab.get<Swarm>("h1", "/swarm")).TLSInfo.TrustRoot;
    const leader = await leaderOf(lab);
    const others = MANAGERS.filter((host) => host !== leader);
    // So many workers do not answer that the others cannot be further by then.
    const frozen = WORKERS.slice(0, NODES - followed);
    for (const host of frozen) lab.host(host).signal("agent", "SIGSTOP");
    await lab.fleet(others[0]!, "ca", "--rotate", "--detach");
    const seen = await untilFollowed(lab, others[0]!, followed);
    await lab.host(leader).stop("agent", "SIGKILL");
    const started = performance.now();
    await lab.host(leader).startAgent();
    for (const host of frozen) lab.host(host).signal("agent", "SIGCONT");
    await until("the end of the rotation", async () => {
      const swarm = await lab.get<Swarm>(others[0]!, "/swarm").catch(() => undefined);
      return swarm !== undefined && !swarm.RootRotationInProgress &&
        swarm.TLSInfo.TrustRoot !== old;
    }, ROTATION_MS);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    await until("all ready", async () => {
      const { stdout } = await lab.try(
        "h1",
        "node",
        "ls",
        "--format",
        "{{.Status}} {{.TLSStatus}}",
      );
      return stdout === "Ready Ready\n".repeat(NODES);
    }, ROTATION_MS);
    await nothingRestarted();
    console.log(`leader killed when ${seen} of ${NODES} had followed: over ${seconds} s later`);
  }
});

async function leaderOf(lab: FleetLab): Promise<string> {
  let leader: string | undefined;
  await until("a leader", async () => {
    const { stdout } = await lab.try(
      "h1",
      ...["node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}"],
    );
    leader = /^(\S+) Leader$/m.exec(stdout)?.[1];
    return leader !== undefined;
  }, ROTATION_MS);
  return leader!;
}

/** Waits until so many nodes have their certificate from the new root, or all of it is over. */
async function untilFollowed(lab: FleetLab, host: string, wanted: number): Promise<number> {
  for (;;) {
    const { TLSInfo, RootRotationInProgress } = await lab.get<Swarm>(host, "/swarm");
    const nodes = await lab.get<Node[]>(host, "/nodes");
    const followed = nodes.filter(({ Description }) =>
      Description.TLSInfo.CertIssuerPublicKey === TLSInfo.CertIssuerPublicKey
    ).length;
    if (followed >= wanted || !RootRotationInProgress) {
      return followed;
    }
  }
}
