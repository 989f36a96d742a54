/**
 * What a newcomer does, on machines with Debian's base system, Docker and nothing of fleet: install from
 * a release server, three commands to a cluster; then what a service manager owes it: start at boot,
 * restart after a crash, a watchdog, reload.
 */
import assert from "node:assert/strict";
import { layOutRelease } from "../../scripts/release.ts";
import { must } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY } from "../support/fleet_lab.ts";
import { withVms } from "./support/vm_lab.ts";
import type { VmLab } from "./support/vm_lab.ts";

/** Holds the folder that the machines see and the release server serves. */
async function withReleases(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-releases-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Serves `folder` on the cable until disposed of. */
function serve({ network }: VmLab, folder: string): AsyncDisposable & { url: string } {
  const address = `${network.gateway}:80`;
  const [command, ...args] = network.enter(["busybox", "httpd", "-f", "-p", address, "-h", folder]);
  const server = new Deno.Command(command!, { args, stdin: "null" }).spawn();
  return {
    url: `http://${network.gateway}`,
    [Symbol.asyncDispose]: async () => {
      server.kill("SIGTERM");
      await server.status;
    },
  };
}

Deno.test("a newcomer's three nodes as system services, on real kernels", async (t) => {
  await withReleases((folder) =>
    withVms({ count: 3, share: folder, memoryMb: 1200 }, async (lab) => {
      const [vm1, vm2, vm3] = lab.machines as [
        typeof lab.machines[0],
        typeof lab.machines[0],
        typeof lab.machines[0],
      ];
      await using server = serve(lab, folder);
      await layOutRelease({
        output: folder,
        releases: server.url,
        executables: { x86_64: BINARY },
      });
      await must([
        "sh",
        "-c",
        `tar -C "$(dirname "$(command -v busybox)")" -cf ${folder}/image.tar busybox`,
      ]);

      await t.step("curl | sh installs it and starts the service", async () => {
        await Promise.all(lab.machines.map(async (machine) => {
          await machine.until("docker version", 120_000);
          const said = await machine.must(
            `curl -fsSL ${server.url}/install.sh | sh -s -- --yes 2>&1; systemctl is-active fleet; systemctl is-enabled fleet`,
          );
          assert.match(said, /active\nenabled\n$/);
          await machine.must("docker import /mnt/host/image.tar box:1");
        }));
      });

      await t.step("three commands make three nodes, and a service runs", async () => {
        await vm1.must(`fleet init --advertise-addr ${vm1.address}`);
        const token = (await vm1.must("fleet join-token -q worker")).trim();
        for (const machine of [vm2, vm3]) {
          await machine.must(`fleet join --token ${token} ${vm1.address}:2377`);
        }
        await vm1.must("fleet service create --name web --replicas 3 box:1 /busybox sleep 3600");
        assert.equal(
          (await vm1.must("fleet service ls --format '{{.Name}} {{.Replicas}}'")).trim(),
          "web 3/3",
        );
      });

      await t.step("the unit speaks: status, and a reload that changes the log level", async () => {
        assert.match(await vm1.must("systemctl status fleet"), /API on \/run\/fleet/);
        await vm1.must("echo FLEET_LOG_LEVEL=debug >>/etc/default/fleet; systemctl reload fleet");
        await vm1.until("journalctl -u fleet | grep -q 'settings reloaded.*logLevel=debug'");
        assert.equal(await vm1.must("systemctl is-active fleet"), "active\n");
      });

      await t.step("a killed agent comes back, and its containers have not noticed", async () => {
        const before = await vm2.must("docker ps -q --no-trunc");
        await vm2.must("systemctl kill -s KILL fleet");
        await vm2.until("systemctl is-active fleet");
        await vm1.until("[ $(fleet node ls --format '{{.Status}}' | grep -c Ready) = 3 ]");
        assert.equal(await vm2.must("docker ps -q --no-trunc"), before);
      });

      await t.step("an agent that hangs is restarted by the watchdog", async () => {
        await vm2.must(
          "systemctl stop fleet; mkdir -p /run/systemd/system/fleet.service.d; printf '[Service]\\nWatchdogSec=6\\n' >/run/systemd/system/fleet.service.d/quick.conf; systemctl daemon-reload; systemctl start fleet",
        );
        await vm2.must("systemctl kill -s STOP --kill-who=main fleet");
        await vm2.until("journalctl -u fleet | grep -q 'Watchdog timeout'", 60_000);
        await vm2.until("systemctl is-active fleet && fleet info >/dev/null", 60_000);
      });

      await t.step("after a power cut the node is back by itself", async () => {
        await vm3.powerOff();
        await vm1.until("fleet node ls --format '{{.Hostname}} {{.Status}}' | grep -q 'vm3 Down'");
        await vm3.powerOn();
        await vm1.until(
          "fleet node ls --format '{{.Hostname}} {{.Status}}' | grep -q 'vm3 Ready'",
          120_000,
        );
        await vm1.until("[ \"$(fleet service ls --format '{{.Replicas}}')\" = 3/3 ]");
      });

      await t.step("uninstall with --purge leaves the cluster and nothing behind", async () => {
        await vm3.must("sh /mnt/host/install.sh --uninstall --purge --yes");
        assert.notEqual((await vm3.run("ls /usr/local/bin/fleet /var/lib/fleet")).code, 0);
        assert.equal(await vm3.must("docker ps -q"), "");
        await vm1.until("fleet node ls --format '{{.Hostname}} {{.Status}}' | grep -q 'vm3 Down'");
      });
    })
  );
});
