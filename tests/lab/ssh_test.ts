/** Machines over real OpenSSH: add, the agent through a tunnel, out again. */
import assert from "node:assert/strict";
import { capture, must, until } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";

Deno.test("machines over SSH", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "fleet-ssh-" });
  try {
    await withFleetLab("ssh", 2, async (lab) => {
      const [h1, h2] = [lab.host("h1"), lab.host("h2")];
      await lab.fleet("h1", "init", "--advertise-addr", h1.address);
      for (const name of ["host", "user"]) {
        await must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${folder}/${name}`]);
      }
      await Deno.copyFile(`${folder}/user.pub`, `${folder}/authorized`);
      const path = await h2.exec(["sh", "-c", "dirname $(command -v fleet)"]);
      await Deno.writeTextFile(
        `${folder}/sshd_config`,
        [
          "Port 2222",
          `HostKey ${folder}/host`,
          `AuthorizedKeysFile ${folder}/authorized`,
          "StrictModes no",
          "UsePAM no",
          "PermitRootLogin yes",
          `PidFile ${folder}/sshd.pid`,
          `SetEnv FLEET_HOST=unix://${h2.layout.fleetSocket} PATH=${path.stdout.trim()}:/usr/sbin:/usr/bin:/sbin:/bin`,
        ].join("\n") + "\n",
      );
      await h2.exec(["mkdir", "-p", "/run/sshd"]);
      const sshd = await h2.exec(["/usr/sbin/sshd", "-f", `${folder}/sshd_config`]);
      assert.equal(sshd.code, 0, sshd.stderr);
      // ssh reads its settings from where the test says, and no agent of a person's is asked.
      await Deno.mkdir(`${folder}/bin`);
      const settings =
        "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
      await Deno.writeTextFile(
        `${folder}/bin/ssh`,
        `#!/bin/sh\nexec /usr/bin/ssh ${settings} -i ${folder}/user "$@"\n`,
        { mode: 0o755 },
      );
      const machine = `root@${h2.address}:2222`;
      const env = { ...h1.env(), PATH: `${folder}/bin:${Deno.env.get("PATH")}` };
      const fleet = (args: string[], more: Record<string, string> = {}) =>
        capture([BINARY, ...args], { env: { ...env, ...more }, timeoutMs: 60_000 });

      await t.step("add joins the machine; its token is in no argument", async () => {
        const added = await fleet(["machine", "add", "--no-install", machine]);
        assert.equal(added.code, 0, added.stderr);
        assert.match(added.stdout, /joined a swarm as a worker/);
        await until(
          "both ready",
          async () =>
            (await fleet(["machine", "ls", "--format", "{{.Status}}"])).stdout === "Ready\nReady\n",
        );
      });

      await t.step("--host ssh:// talks to the agent there", async () => {
        const remote = {
          FLEET_HOST: `ssh://${machine}`,
          FLEET_REMOTE_SOCKET: h2.layout.fleetSocket,
        };
        const info = await fleet(["info"], remote);
        assert.equal(info.code, 0, info.stderr);
        assert.match(info.stdout, /Swarm:\s+active/);
        assert.match((await fleet(["node", "ls"], remote)).stderr, /not a swarm manager/);
        const nobody = await fleet(["info"], { FLEET_HOST: `ssh://root@${h2.address}:2223` });
        assert.equal(nobody.code, 1);
        assert.match(nobody.stderr, /no SSH connection to/);
      });

      await t.step("rm takes it out again", async () => {
        const removed = await fleet(["machine", "rm", "--yes", machine]);
        assert.equal(removed.code, 0, removed.stderr);
        assert.match(await lab.fleet("h2", "info"), /Swarm:\s+inactive/);
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
