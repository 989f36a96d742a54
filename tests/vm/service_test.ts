/**
 * What a newcomer does, on machines with Debian's base system, Docker and nothing of fleet: install from
 * a release server, three commands to a cluster; then what a service manager owes it: start at boot,
 * restart after a crash, a watchdog, reload.
 */
import assert from "node:assert/strict";
import { compileAs } from "../../scripts/compile.ts";
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

const GOOD = "0.2.0";
const BROKEN = "0.1.9";

/** Puts another version on the release server: one that works, or one that ends when it is started. */
async function writeRelease(output: string, version: string, releases: string): Promise<void> {
  const file = await Deno.makeTempFile();
  try {
    if (version === GOOD) await compileAs(version, file);
    else {
      await Deno.writeTextFile(
        file,
        `#!/bin/sh\n[ "$1" = --version ] && echo "fleet version ${version}, broken" && exit\necho "a start of the broken build" >&2\nexit 1\n`,
      );
    }
    await layOutRelease({ output, releases, version, executables: { x86_64: file } });
  } finally {
    await Deno.remove(file);
  }
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
          await machine.must("docker import /mnt/host/image.tar box:1");
          if (machine === vm3) return;
          const said = await machine.must(
            `curl -fsSL ${server.url}/channels/install.sh | sh -s -- --yes 2>&1; systemctl is-active fleet; systemctl is-enabled fleet`,
          );
          assert.match(said, /active\nenabled\n$/);
        }));
      });

      await t.step("three commands make three nodes, and a service runs", async () => {
        await vm1.must(`fleet init --advertise-addr ${vm1.address}`);
        const token = (await vm1.must("fleet join-token -q worker")).trim();
        await vm2.must(`fleet join --token ${token} ${vm1.address}:2377`);
        // The third gets fleet over SSH, with the same service.
        await vm1.must(
          "mkdir -p /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; echo 'StrictHostKeyChecking no' >/root/.ssh/config",
        );
        const key = (await vm1.must("cat /root/.ssh/id_ed25519.pub")).trim();
        await vm3.must(
          `install -d -m 700 /root/.ssh; echo '${key}' >/root/.ssh/authorized_keys; systemctl start ssh`,
        );
        const added = await vm1.must(`fleet machine add root@${vm3.address}`, {
          timeoutMs: 300_000,
        });
        assert.match(added, /This node joined a swarm as a worker\.\nvm3 is root@/);
        assert.equal(
          await vm1.must("fleet ssh vm3 -- systemctl is-active fleet"),
          "active\n",
        );
        assert.equal(await vm3.must("systemctl is-enabled fleet"), "enabled\n");
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

      await t.step("a build that does not start is put away by the unit's own guard", async () => {
        await writeRelease(folder, BROKEN, server.url);
        const { code, stderr } = await vm2.run(`fleet upgrade --yes --version ${BROKEN}`, {
          timeoutMs: 300_000,
        });
        assert.equal(code, 3, stderr);
        assert.match(stderr, /fleet 0\.1\.9 did not come up, and 0\.1\.0 is back/);
        assert.match(await vm2.must("journalctl -u fleet"), /a start of the broken build/);
      });

      await t.step("an upgrade goes through all nodes, and no container notices", async () => {
        const containers = async () =>
          (await Promise.all(
            lab.machines.map((machine) => machine.must("docker ps -q --no-trunc")),
          )).join();
        const before = await containers();
        await writeRelease(folder, GOOD, server.url);
        const said = await vm1.must(`fleet upgrade --all --yes --from ${server.url}`, {
          timeoutMs: 600_000,
        });
        assert.match(said, /vm1: 0\.1\.0 -> 0\.2\.0\n\nAll done\.\n$/);
        for (const machine of lab.machines) {
          assert.match(await machine.must("fleet --version"), /^fleet version 0\.2\.0/);
        }
        assert.equal(await containers(), before);
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
