/** Published ports by IPVS, on Debian's kernel with a real engine. */
import assert from "node:assert/strict";
import { must } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY } from "../support/fleet_lab.ts";
import type { VirtualMachine } from "./support/virtual_machine.ts";
import { withVms } from "./support/vm_lab.ts";
import type { VmLab } from "./support/vm_lab.ts";

const IMAGE = "box:1";
/** Each is the start of a program on an emulated machine; a hundred only where FLEET_LONG is set. */
const CHANGES = Deno.env.get("FLEET_LONG") ? 100 : 10;
/** An emulated machine beside others at work takes minutes for what takes a second elsewhere. */
const PATIENCE_MS = 300_000;
const INFO = "curl -s --unix-socket /run/fleet/fleet.sock http://fleet/fleet/info";
const SERVE = "/busybox sh -c '/busybox hostname >/index.html; exec /busybox httpd -f -p 80 -h /'";

/** Answers to `count` requests from outside, each by a connection of its own. */
async function ask({ network }: VmLab, target: string, count: number): Promise<string[]> {
  const script = `for i in $(seq ${count}); do curl -sS -m 5 http://${target}/index.html; done`;
  return (await network.must(script, { timeoutMs: 120_000 })).trim().split("\n");
}

/** Real servers of all services of IPVS that have weight, as addresses, sorted. */
async function balanced(machine: VirtualMachine): Promise<string[]> {
  const saved = await machine.must("ipvsadm -Sn");
  return [...saved.matchAll(/^-a -f \d+ -r ([\d.]+):80 -m -w 1$/gm)].map(([, a]) => a!).sort();
}

/** Addresses on `ingress` of the service's tasks that run and shall go on, sorted. */
async function intended(manager: VirtualMachine, service: string): Promise<string[]> {
  const text = await manager.must(
    `curl -s --unix-socket /run/fleet/fleet.sock 'http://fleet/v1.41/tasks?filters=%7B%22service%22%3A%5B%22${service}%22%5D%7D'`,
  );
  const tasks = JSON.parse(text) as {
    DesiredState: string;
    Status: { State: string };
    NetworksAttachments?: { Network?: { Spec?: { Name?: string } }; Addresses?: string[] }[];
  }[];
  return tasks.filter(({ DesiredState, Status }) =>
    DesiredState === "running" && Status.State === "running"
  ).flatMap(({ NetworksAttachments = [] }) =>
    NetworksAttachments.flatMap(({ Addresses = [] }) => Addresses.map((a) => a.split("/")[0]!))
  ).sort();
}

async function converged(lab: VmLab, service: string): Promise<void> {
  const [manager] = lab.machines;
  const deadline = performance.now() + PATIENCE_MS;
  let last = "";
  while (performance.now() < deadline) {
    const wanted = (await intended(manager!, service)).join();
    const had = (await Promise.all(lab.machines.map(balanced))).map((list) => list.join());
    last = `wanted ${wanted}, have ${had.join(" and ")}`;
    if (had.every((list) => list === wanted)) return;
  }
  throw new Error(`IPVS differs from what is intended: ${last}`);
}

Deno.test("published ports by IPVS on real kernels", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "fleet-ipvs-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.copyFile(BINARY, `${folder}/fleet`);
  await must([
    "sh",
    "-c",
    `chmod +x ${folder}/fleet; tar -C "$(dirname "$(command -v busybox)")" -cf ${folder}/image.tar busybox`,
  ]);
  await withVms({ count: 2, share: folder, memoryMb: 1200 }, async (lab) => {
    let failed = false;
    const step = async (name: string, run: () => Promise<void>) => {
      // Each builds on the one before, and would wait long for what will not be.
      if (failed) return;
      failed = !await t.step(name, run);
    };
    const [vm1, vm2] = lab.machines as [VirtualMachine, VirtualMachine];
    const startAgent = (machine: VirtualMachine, flags = "") =>
      machine.must(
        `systemd-run -q --unit fleet-agent --setenv HOME=/root /usr/local/bin/fleet agent ${flags}`,
      );
    await Promise.all(lab.machines.map(async (machine) => {
      await machine.must("cp /mnt/host/fleet /usr/local/bin/fleet");
      await machine.until("docker version", PATIENCE_MS);
      await startAgent(machine);
      await machine.must(`docker import /mnt/host/image.tar ${IMAGE}`);
      // The socket is asked, not the command line: starting a program takes seconds here.
      await machine.until(
        "curl -sf --unix-socket /run/fleet/fleet.sock http://fleet/fleet/ping",
        PATIENCE_MS,
      );
    }));
    await vm1.must(`fleet init --advertise-addr ${vm1.address}`, { timeoutMs: PATIENCE_MS });
    const token = (await vm1.must("fleet join-token -q worker")).trim();
    await vm2.must(`fleet join --token ${token} ${vm1.address}:2377`, { timeoutMs: PATIENCE_MS });

    await step("IPVS is chosen by itself, and every node answers for tasks of one", async () => {
      await vm1.must(
        `fleet service create --detach --name web --replicas 3 --constraint node.hostname==vm2 --publish 8080:80 ${IMAGE} ${SERVE}`,
        { timeoutMs: PATIENCE_MS },
      );
      for (const machine of [vm1, vm2]) {
        await machine.until(`${INFO} | grep -q '"Mesh":"ipvs"'`, PATIENCE_MS);
        await machine.until("ipvsadm -Sn | grep -q -- '-w 1'", PATIENCE_MS);
      }
      await converged(lab, "web");
      for (const { address } of [vm1, vm2]) {
        assert.equal(new Set(await ask(lab, `${address}:8080`, 6)).size, 3, address);
      }
      for (const client of [vm1, vm2]) {
        for (const address of ["127.0.0.1", vm1.address, vm2.address]) {
          const said = await client.must(
            `for i in 1 2 3; do curl -sS -m 5 http://${address}:8080/index.html; done`,
          );
          assert.equal(new Set(said.trim().split("\n")).size, 3, `${client.name} at ${address}`);
        }
      }
    });

    await step("a thousand requests spread evenly", async () => {
      const counts = new Map<string, number>();
      for (const host of await ask(lab, `${vm1.address}:8080`, 1_000)) {
        counts.set(host, (counts.get(host) ?? 0) + 1);
      }
      const expected = 1_000 / 3;
      const chi = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      assert.equal(counts.size, 3);
      // The 5 % quantile of chi-square with two degrees of freedom.
      assert(chi < 5.99, `chi-square ${chi}: ${[...counts.values()]}`);
    });

    await step(
      "what others have in IPVS stays; what they took from fleet's comes back",
      async () => {
        await vm1.must("ipvsadm -C; ipvsadm -A -t 192.0.2.1:80 -s wlc; ipvsadm -A -f 7 -s rr");
        await vm1.until("ipvsadm -Sn | grep -c -- '-m -w 1' | grep -qx 3", PATIENCE_MS);
        const saved = await vm1.must("ipvsadm -Sn");
        assert.match(saved, /^-A -t 192\.0\.2\.1:80 -s wlc$/m);
        assert.match(saved, /^-A -f 7 -s rr$/m);
        assert.match(await vm1.must("journalctl -u fleet-agent"), /had been changed; repaired/);
        assert.equal((await ask(lab, `${vm1.address}:8080`, 3)).length, 3);
      },
    );

    await step("changes at random end as intended on every node", async () => {
      let last = 3;
      for (let i = 0; i < CHANGES; i++) {
        last = 1 + Math.floor(Math.random() * 6);
        await vm1.must(`fleet service scale --detach web=${last} >/dev/null`);
      }
      await vm1.until(
        `[ "$(fleet service ls --format '{{.Replicas}}')" = ${last}/${last} ]`,
        120_000,
      );
      await converged(lab, "web");
    });

    await step("a killed task is out at once", async () => {
      await vm1.must("fleet service update --detach --restart-delay 20s web");
      await vm1.must("fleet service scale web=3", { timeoutMs: PATIENCE_MS });
      await converged(lab, "web");
      const before = await balanced(vm1);
      const began = performance.now();
      await vm2.must(
        "docker kill $(docker ps -q --filter label=com.docker.swarm.service.name=web | head -1)",
      );
      await vm1.until("ipvsadm -Sn | grep -c -- '-m -w 1' | grep -qx 2", PATIENCE_MS);
      console.log(`out after ${Math.round(performance.now() - began)} ms`);
      assert.equal(before.length, 3);
      for (const answer of await ask(lab, `${vm1.address}:8080`, 6)) assert.match(answer, /^\w+$/);
    });

    await step("the service's removal leaves nothing", async () => {
      await vm1.must("fleet service rm web");
      await vm1.until("[ -z \"$(ipvsadm -Sn | grep -- '-a')\" ]", PATIENCE_MS);
      assert.notEqual((await lab.network.run(`curl -s -m 2 http://${vm1.address}:8080/`)).code, 0);
    });

    await step(
      "told to use nftables, it takes its services out of IPVS and goes on",
      async () => {
        await vm1.must(
          `fleet service create --name web --replicas 2 --publish 8080:80 ${IMAGE} ${SERVE}`,
          {
            timeoutMs: PATIENCE_MS,
          },
        );
        await converged(lab, "web");
        await vm1.must("systemctl stop fleet-agent; systemctl reset-failed fleet-agent; true");
        await startAgent(vm1, "--mesh-backend nftables");
        await vm1.until(`${INFO} | grep -q '"Mesh":"nftables"'`, PATIENCE_MS);
        await vm1.until("! ipvsadm -Sn | grep -q -- '-m -w'");
        assert.equal(new Set(await ask(lab, `${vm1.address}:8080`, 8)).size, 2);
        assert.match(await vm2.must(INFO), /"Mesh":"ipvs"/);
      },
    );
  });
});
