/**
 * Requests per second through a published port on real kernels, by IPVS and by nftables, beside a port that
 * the engine publishes and the same server on the host's network. Two emulated machines, so that only the
 * ratios mean something.
 *
 *     deno task vm-bench-mesh
 */
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import type { MeshKind } from "../../src/core/network/balancer.ts";
import { median, printTable } from "../bench/figures.ts";
import { parseWrk } from "../bench/wrk.ts";
import type { Measured } from "../bench/wrk.ts";
import {
  CLIENT,
  IMAGE,
  INFO,
  PATIENCE_MS,
  startAgent,
  stopAgent,
  withVmCluster,
} from "./support/vm_cluster.ts";
import type { VirtualMachine } from "./support/virtual_machine.ts";
import { waiting } from "./support/waiting.ts";

const ROUNDS = 3;
const SECONDS = 5;
const CONNECTIONS = 4;
const patient = { timeoutMs: PATIENCE_MS };
const serve = (port: number) =>
  `/busybox sh -c 'echo ok >/index.html; exec /busybox httpd -f -p ${port} -h /'`;

await withVmCluster(async (lab, vm1, vm2) => {
  await vm1.must(`docker run -d --network host ${IMAGE} ${serve(8091)}`, patient);
  await vm1.must(`docker run -d -p 8090:80 ${IMAGE} ${serve(80)}`, patient);
  await vm1.must(
    `${CLIENT} service create --detach --no-resolve-image --name web --publish 8080:80 \
     --constraint node.hostname==vm1 ${IMAGE} ${serve(80)}`,
    patient,
  );
  const found = new Map<string, Measured[]>();
  const measure = async (what: string, target: string) => {
    await waiting(
      `${what} answers`,
      () =>
        lab.network.must(
          `until curl -sf -m 5 http://${target}/index.html; do sleep 1; done`,
          patient,
        ),
    );
    // The first round is not counted: the emulator translates what it has not run yet.
    for (let round = 0; round <= ROUNDS; round++) {
      const { stdout, stderr } = await capture(
        lab.network.enter([
          ...["wrk", "-t", "1", "-c", `${CONNECTIONS}`, "-d", `${SECONDS}s`, "--timeout", "10s"],
          ...["--latency", "-H", "Connection: close", `http://${target}/index.html`],
        ]),
        patient,
      );
      const measured = parseWrk(stdout, stderr);
      if (round > 0) found.set(what, [...found.get(what) ?? [], measured]);
    }
  };
  const LIMIT = "the server alone, on the host's network";
  await measure(LIMIT, `${vm1.address}:8091`);
  await measure("port published by the engine", `${vm1.address}:8090`);
  for (const mesh of ["ipvs", "nftables"] satisfies MeshKind[]) {
    await Promise.all([vm1, vm2].map((machine) => balanceBy(machine, mesh)));
    await measure(`${mesh}, the node asked runs the task`, `${vm1.address}:8080`);
    await measure(`${mesh}, another node runs the task`, `${vm2.address}:8080`);
  }
  const rate = (what: string) => median(found.get(what)!.map((one) => one.rate));
  printTable([
    ["requests, each on its own connection", "per second", "p99", "of the limit"],
    ...[...found].map(([what, all]) => [
      what,
      rate(what).toFixed(0),
      `${median(all.map(({ p99 }) => p99)).toFixed(1)} ms`,
      (rate(what) / rate(LIMIT)).toFixed(2),
    ]),
  ]);
});

/** Starts the machine's agent anew, with this backend. */
async function balanceBy(machine: VirtualMachine, mesh: MeshKind): Promise<void> {
  await stopAgent(machine);
  await startAgent(machine, `--mesh-backend ${mesh}`);
  await waiting(
    `${machine.name}: the mesh is ${mesh}`,
    () => machine.until(`${INFO} | grep -q '"${mesh}"'`, PATIENCE_MS),
  );
}
