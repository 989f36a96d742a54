import { must } from "../../../src/adapters/lab_hosts/process.ts";
import { BINARY } from "../../support/fleet_lab.ts";
import { leanImage } from "./lean_image.ts";
import type { VirtualMachine } from "./virtual_machine.ts";
import { withVms } from "./vm_lab.ts";
import type { VmLab } from "./vm_lab.ts";
import { VM_PREFIX } from "./vm_network.ts";
import { waiting } from "./waiting.ts";

/** An emulated machine beside others at work takes minutes for what takes a second elsewhere. */
export const PATIENCE_MS = 300_000;
/** A static busybox, at /busybox and as its shell. */
export const IMAGE = "box:1";

/** Asks the agent's socket, not the command line: starting a program takes seconds here. */
export const api = (path: string) =>
  `curl -sf --unix-socket /run/fleet/fleet.sock 'http://fleet${path}'`;
const ENGINE_ANSWERS = "curl -sf --unix-socket /run/docker.sock http://engine/_ping";
export const INFO = api("/fleet/info");
/** The stock client, which starts quicker than fleet's. */
export const CLIENT = "docker -H unix:///run/fleet/fleet.sock";

/** What the machine's agent has said since it booted. */
export const AGENT_LOG = "/run/agent.log";
const AGENT_PID = "/run/agent.pid";

export function startAgent(machine: VirtualMachine, flags = ""): Promise<string> {
  return machine.must(
    `setsid fleet agent ${flags} >>${AGENT_LOG} 2>&1 & echo $! >${AGENT_PID}`,
  );
}

/** As a service manager does it, and waits until it has ended. */
export function stopAgent(machine: VirtualMachine): Promise<string> {
  return machine.must(
    `pid=$(cat ${AGENT_PID}); kill $pid; while [ -e /proc/$pid ]; do sleep 0.1; done`,
    { timeoutMs: PATIENCE_MS },
  );
}

/** Two machines with an engine each, and the compiled executable; no cluster yet. */
export async function withEngines(
  use: (lab: VmLab, vm1: VirtualMachine, vm2: VirtualMachine) => Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: `${VM_PREFIX}${Deno.pid}-` });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.copyFile(BINARY, `${folder}/fleet`);
  // It unpacks itself into a folder that the machines see, too: they would take half a minute.
  await must([BINARY, "--version"]);
  await must([
    "sh",
    "-c",
    // Commands of health checks are run by /bin/sh.
    `chmod +x ${folder}/fleet; mkdir -p ${folder}/root/bin; cp "$(command -v busybox)" ${folder}/root/busybox;
     ln -s ../busybox ${folder}/root/bin/sh; tar -C ${folder}/root -cf ${folder}/image.tar .`,
  ]);
  await withVms({ count: 2, share: folder, memoryMb: 2048, image: leanImage }, async (lab) => {
    const [vm1, vm2] = lab.machines as [VirtualMachine, VirtualMachine];
    await Promise.all([vm1, vm2].map(async (machine) => {
      await machine.must("cp /mnt/host/fleet /usr/local/bin/fleet");
      await machine.must("setsid dockerd --log-level warn >/run/dockerd.log 2>&1 &");
      await machine.until(ENGINE_ANSWERS, PATIENCE_MS);
      console.log(
        `    ${machine.name}: a ready engine ${machine.sincePowerOn().toFixed(1)} s after power-on`,
      );
      await machine.must(`docker import /mnt/host/image.tar ${IMAGE}`, { timeoutMs: PATIENCE_MS });
    }));
    await use(lab, vm1, vm2);
  });
}

/** Starts the agents; the first machine is the manager. */
export async function formCluster(vm1: VirtualMachine, vm2: VirtualMachine): Promise<void> {
  await Promise.all([vm1, vm2].map(async (machine) => {
    await startAgent(machine);
    await waiting(`${machine.name}: the agent answers`, async () => {
      await machine.until(
        `${api("/fleet/ping")} || ! [ -e /proc/$(cat ${AGENT_PID}) ]`,
        PATIENCE_MS,
      );
      await machine.must(`${api("/fleet/ping")} || { cat ${AGENT_LOG}; exit 1; }`);
    });
  }));
  await waiting(
    "vm1: fleet init",
    () => vm1.must(`fleet init --advertise-addr ${vm1.address}`, { timeoutMs: PATIENCE_MS }),
  );
  const token = (await vm1.must("fleet join-token -q worker", { timeoutMs: PATIENCE_MS })).trim();
  await waiting(
    "vm2: fleet join",
    () => vm2.must(`fleet join --token ${token} ${vm1.address}:2377`, { timeoutMs: PATIENCE_MS }),
  );
}

/** Two machines that are one cluster. */
export async function withVmCluster(
  use: (lab: VmLab, vm1: VirtualMachine, vm2: VirtualMachine) => Promise<void>,
): Promise<void> {
  await withEngines(async (lab, vm1, vm2) => {
    await formCluster(vm1, vm2);
    await use(lab, vm1, vm2);
  });
}

export type Step = (name: string, run: () => Promise<void>) => Promise<void>;

/** Steps that build on one another: after one that failed the others are left out. */
export function dependentSteps(t: Deno.TestContext): Step {
  let failed = false;
  return async (name, run) => {
    if (failed) return;
    failed = !await t.step(name, () => waiting(name, run));
  };
}

interface TaskJson {
  readonly DesiredState: string;
  readonly Status: { readonly State: string };
  readonly NetworksAttachments?: readonly {
    readonly Network?: { readonly Spec?: { readonly Name?: string } };
    readonly Addresses?: readonly string[];
  }[];
}

/** Addresses on a network of the service's tasks that run and shall go on, sorted. */
export async function addressesOf(
  manager: VirtualMachine,
  service: string,
  network: string,
): Promise<string[]> {
  const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
  const tasks = JSON.parse(
    await manager.must(api(`/v1.41/tasks?filters=${filters}`)),
  ) as TaskJson[];
  return tasks.filter(({ DesiredState, Status }) =>
    DesiredState === "running" && Status.State === "running"
  ).flatMap(({ NetworksAttachments = [] }) =>
    NetworksAttachments.filter(({ Network }) => Network?.Spec?.Name === network)
      .flatMap(({ Addresses = [] }) => Addresses.map((address) => address.split("/")[0]!))
  ).sort();
}
