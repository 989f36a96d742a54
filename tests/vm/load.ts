/**
 * The same load on Docker Swarm and on fleet, one after the other on the same two emulated machines, where
 * the mesh of both is IPVS: rolling updates that start first, a drained node, scaling. Every request is a
 * connection of its own; prints how many failed.
 *
 *     deno task vm-load [--rounds 2]
 */
import { parseArgs } from "node:util";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { startLoad } from "../support/http_load.ts";
import type { LoadPlace, LoadResult } from "../support/http_load.ts";
import { CLIENT, formCluster, IMAGE, PATIENCE_MS, withEngines } from "./support/vm_cluster.ts";
import type { VmLab } from "./support/vm_lab.ts";
import type { VirtualMachine } from "./support/virtual_machine.ts";
import { waiting } from "./support/waiting.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "2" } } });
const ROUNDS = Number(values.rounds);
const REPLICAS = 4;
const FEWER = 2;
const CONNECTIONS = 4;
const patient = { timeoutMs: 2 * PATIENCE_MS };
const SERVE = "/busybox sh -c '/busybox hostname >/index.html; exec /busybox httpd -f -p 80 -h /'";

/** What is done to the service, by the stock client against `client`'s socket. */
async function round(vm1: VirtualMachine, client: string): Promise<void> {
  const docker = (command: string) => vm1.must(`${client} ${command}`, patient);
  const settled = (replicas: number) =>
    vm1.until(
      `[ "$(${client} service ls --format '{{.Replicas}}')" = ${replicas}/${replicas} ]`,
      PATIENCE_MS,
    );
  await waiting("a rolling update", async () => {
    const state = `${client} service inspect --format '{{.UpdateStatus.State}}' web`;
    await docker("service update --detach --quiet --no-resolve-image --force web");
    await vm1.until(`[ "$(${state})" = updating ]`, PATIENCE_MS);
    await vm1.until(`[ "$(${state})" = completed ]`, 2 * PATIENCE_MS);
  });
  await waiting("a node is drained", async () => {
    await docker("node update --availability drain vm2");
    await vm1.until(
      `[ -z "$(${client} service ps -q --filter node=vm2 --filter desired-state=running web)" ]`,
      PATIENCE_MS,
    );
    await settled(REPLICAS);
  });
  await docker("node update --availability active vm2");
  await waiting("fewer tasks", async () => {
    await docker(`service scale --detach web=${FEWER}`);
    await settled(FEWER);
  });
  await waiting("more tasks", async () => {
    await docker(`service scale --detach web=${REPLICAS}`);
    await settled(REPLICAS);
  });
}

async function measure(lab: VmLab, client: string): Promise<LoadResult> {
  const [vm1] = lab.machines as [VirtualMachine];
  await vm1.must(
    `${client} service create --detach --no-resolve-image --name web --replicas ${REPLICAS} --publish 8080:80 \
     --stop-grace-period 2s --update-order start-first --update-parallelism 2 --health-interval 10s --health-timeout 30s \
     --health-cmd '/busybox wget -q -O /dev/null http://127.0.0.1/' ${IMAGE} ${SERVE}`,
    patient,
  );
  await waiting("the service runs", async () => {
    try {
      await vm1.until(
        `[ "$(${client} service ls --format '{{.Replicas}}')" = ${REPLICAS}/${REPLICAS} ]`,
        PATIENCE_MS,
      );
    } catch (error) {
      console.log((await vm1.run(`${client} service ps --no-trunc web`, patient)).stdout);
      throw error;
    }
  });
  const targets = lab.machines.map(({ address }) => `${address}:8080`);
  await waiting("both machines answer", () =>
    lab.network.must(
      targets.map((t) => `until curl -sf -m 5 http://${t}/index.html; do sleep 1; done`).join("\n"),
      { timeoutMs: PATIENCE_MS },
    ));
  const place: LoadPlace = {
    exec: (argv, options) => capture(lab.network.enter(argv), { ...options }),
  };
  const load = await startLoad(place, { connections: CONNECTIONS, targets });
  try {
    for (let i = 0; i < ROUNDS; i++) await round(vm1, client);
  } finally {
    await vm1.run(`${client} service rm web`, patient);
  }
  return await load.stop();
}

function print(name: string, { good, bad, p50, p99, failures }: LoadResult): void {
  console.log(`${name}: ${good} requests answered, ${bad} failed; p50 ${p50} ms, p99 ${p99} ms`);
  for (const [said, count] of Object.entries(failures)) console.log(`  ${count}x ${said}`);
}

await withEngines(async (lab, vm1, vm2) => {
  await waiting("Docker Swarm is formed", async () => {
    await vm1.must(`docker swarm init --advertise-addr ${vm1.address}`, patient);
    const token = (await vm1.must("docker swarm join-token -q worker", patient)).trim();
    await vm2.must(`docker swarm join --token ${token} ${vm1.address}:2377`, patient);
  });
  const swarm = await measure(lab, "docker");
  print("Docker Swarm", swarm);
  for (const machine of [vm2, vm1]) await machine.must("docker swarm leave --force", patient);
  await formCluster(vm1, vm2);
  const fleet = await measure(lab, CLIENT);
  print("Docker Swarm", swarm);
  print("fleet", fleet);
  if (fleet.bad > 0) Deno.exitCode = 1;
});
