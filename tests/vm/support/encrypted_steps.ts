import assert from "node:assert/strict";
import { captureDuring } from "./cable_capture.ts";
import type { VirtualMachine } from "./virtual_machine.ts";
import {
  addressesOf,
  api,
  CLIENT,
  IMAGE,
  PATIENCE_MS,
  startAgent,
  stopAgent,
} from "./vm_cluster.ts";
import type { Step } from "./vm_cluster.ts";
import type { VmLab } from "./vm_lab.ts";
import { waiting } from "./waiting.ts";

const patient = { timeoutMs: PATIENCE_MS };
/** Of encrypted networks: the one after the data path's. */
const PORT = 4790;
const TEXT = "MARKEDTEXT";
const FILE_BYTES = 500_000;
/** In a row, as a careful operator would not: each waits until nodes have heard of the one before. */
const ROTATIONS = 3;
const SERVE =
  `/busybox sh -c '/busybox yes ${TEXT} | /busybox head -c ${FILE_BYTES} >/file; exec /busybox httpd -f -p 80 -h /'`;

const inTask = (service: string, command: string) =>
  `docker exec $(docker ps -q --filter label=com.docker.swarm.service.name=${service}) ${command}`;
const ready = (node: string) =>
  `[ "$(${CLIENT} node inspect --format '{{.Status.State}}' ${node})" = ready ]`;
const spis = async (machine: VirtualMachine) =>
  [...(await machine.must("ip xfrm state", patient)).matchAll(/spi (0x[0-9a-f]+)/g)]
    .map(([, spi]) => spi!).sort().join();

/** Encrypted overlay networks, from `network create` to the cable; leaves the second machine without ESP. */
export async function encryptedSteps(step: Step, lab: VmLab): Promise<void> {
  const [vm1, vm2] = lab.machines as [VirtualMachine, VirtualMachine];
  let target = "";
  const sniffed = (run: () => Promise<void>) =>
    captureDuring(lab.network, { host: vm2.address, port: PORT, text: TEXT }, run);

  await step(
    "a file between two tasks: only ESP is on the cable, and none of the text",
    async () => {
      await vm1.must(`${CLIENT} network create -d overlay --opt encrypted sealed`, patient);
      const create = (name: string, node: string) =>
        vm1.must(
          `${CLIENT} service create --detach --no-resolve-image --name ${name} --network sealed --constraint node.hostname==${node} ${IMAGE} ${SERVE}`,
          patient,
        );
      await create("near", "vm1");
      await create("far", "vm2");
      await waiting("both tasks run", async () => {
        for (const name of ["near", "far"]) {
          const filters = encodeURIComponent(JSON.stringify({ service: [name] }));
          await vm1.until(
            `${api(`/v1.41/tasks?filters=${filters}`)} | grep -q '"State":"running"'`,
            PATIENCE_MS,
          );
        }
      });
      target = (await addressesOf(vm1, "far", "sealed"))[0]!;
      const seen = await sniffed(async () => {
        await vm1.until(
          `[ "$(${
            inTask("near", `/busybox wget -q -O - http://${target}/file`)
          } | wc -c)" = ${FILE_BYTES} ]`,
          PATIENCE_MS,
        );
      });
      console.log(`    ${seen.esp} packets of ESP, ${seen.clear} in clear`);
      assert(seen.esp > FILE_BYTES / 1500, `${seen.esp} packets of ESP`);
      assert.deepEqual([seen.clear, seen.text], [0, 0]);
    },
  );

  await step(`${ROTATIONS} rotations lose no packet, and change all keys`, async () => {
    const before = await spis(vm1);
    assert.equal(before, await spis(vm2));
    const ping = `/busybox ping -i 0.2 -W 5 ${target}`;
    await vm1.must(
      `rm -f /run/ping.end; ( ${
        inTask("near", ping)
      } >/run/ping.log 2>&1 & echo $! >/run/ping.pid; wait; echo over >/run/ping.end ) >/dev/null 2>&1 &
         until grep -q seq=3 /run/ping.log; do sleep 0.2; done`,
      patient,
    );
    const seen = await sniffed(async () => {
      for (let i = 0; i < ROTATIONS; i++) {
        const old = await spis(vm1);
        // Refused while the last one is young.
        await waiting(
          `rotation ${i + 1} is accepted`,
          () => vm1.until(`${api("/fleet/network-keys/rotate")} -X POST`, PATIENCE_MS),
        );
        await waiting(`both machines have the keys of rotation ${i + 1}`, async () => {
          const deadline = performance.now() + PATIENCE_MS;
          for (;;) {
            const [one, two] = await Promise.all([spis(vm1), spis(vm2)]);
            if (one === two && one !== old) return;
            if (performance.now() > deadline) throw new Error(`${one}\nand\n${two}`);
          }
        });
      }
    });
    const count = Number(await vm1.must("grep -c seq= /run/ping.log"));
    await vm1.until(`[ "$(grep -c seq= /run/ping.log)" -gt ${count + 5} ]`, PATIENCE_MS);
    const log = await vm1.must("cat /run/ping.log; kill $(cat /run/ping.pid)");
    const sequence = [...log.matchAll(/ seq=(\d+) /g)].map(([, number]) => Number(number));
    console.log(`    ${sequence.length} answers, the last one to packet ${sequence.at(-1)}`);
    assert.deepEqual(sequence, sequence.map((_, i) => i), "none is missing, none comes twice");
    assert.deepEqual([seen.clear, seen.text], [0, 0]);
    // Three keys are held: after three rotations none of the first is left.
    const held = new Set(before.split(","));
    assert.deepEqual((await spis(vm2)).split(",").filter((spi) => held.has(spi)), []);
  });

  await step("while an agent is away its kernel goes on", async () => {
    await stopAgent(vm2);
    await vm1.must(inTask("near", `/busybox ping -c 3 -W 20 ${target}`), patient);
  });

  await step(
    "without the kernel's policies nothing leaves in clear, and they come back",
    async () => {
      const seen = await sniffed(async () => {
        await vm1.must("ip xfrm policy flush; ip xfrm state flush");
        await vm1.run(inTask("near", `/busybox wget -q -O - http://${target}/file`), {
          timeoutMs: PATIENCE_MS,
        });
        await waiting(
          "the agent has put them back",
          () => vm1.until("ip xfrm policy | grep -q 'dport 4790'", PATIENCE_MS),
        );
        await vm1.must(inTask("near", `/busybox ping -c 3 -W 20 ${target}`), patient);
      });
      assert.deepEqual([seen.clear, seen.text], [0, 0]);
    },
  );

  await step(
    "a node whose kernel cannot: encryption is refused, with the node's name",
    async () => {
      await waiting("vm2's kernel is without ESP", () =>
        vm2.until(
          // A device keeps what it has sent by, and with it the module.
          `echo 'install esp4 /bin/false' >/etc/modprobe.d/no-esp.conf
             for device in $(cd /sys/class/net && ls -d flx-*); do ip link del $device; done
             ip xfrm policy flush; ip xfrm state flush; rmmod esp4_offload; rmmod esp4
             ! grep '^esp4 ' /proc/modules`,
          PATIENCE_MS,
        ));
      await startAgent(vm2);
      await waiting("vm2 is back", () => vm1.until(ready("vm2"), PATIENCE_MS));
      const refused = await vm1.run(
        `${CLIENT} network create -d overlay --opt encrypted other`,
        patient,
      );
      console.log(`    ${refused.stderr.trim()}`);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /vm2.*ESP/);
      // What needs no encryption is made as ever.
      await vm1.must(`${CLIENT} network create -d overlay plain`, patient);
    },
  );
}
