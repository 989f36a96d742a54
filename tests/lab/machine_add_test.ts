/** A machine with Debian's base system and an SSH server becomes a node, by its own OpenSSH and back. */
import assert from "node:assert/strict";
import { capture, must } from "../../src/adapters/lab_hosts/process.ts";
import { DebianMachine } from "../support/debian_machine.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

/** As its engine calls itself. */
const NAME = "h2";

/** Debian's base system with an SSH server, and a user who may do everything. */
async function withMachine(run: (machine: DebianMachine, key: string) => Promise<void>) {
  const machine = await DebianMachine.create();
  const folder = await Deno.makeTempDir({ prefix: "fleet-machine-" });
  try {
    await must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${folder}/key`]);
    const key = (await Deno.readTextFile(`${folder}/key.pub`)).trim();
    const { code, stderr } = await machine.run(`set -e
      export DEBIAN_FRONTEND=noninteractive
      apt-get -q update
      apt-get -q install -y --no-install-recommends openssh-server sudo iproute2 iptables ipvsadm
      useradd --create-home --shell /bin/bash --password '*' ann
      echo 'ann ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ann
      install -d -o ann -g ann -m 700 /home/ann/.ssh
      echo '${key}' >/home/ann/.ssh/authorized_keys`);
    assert.equal(code, 0, stderr);
    await run(machine, folder);
  } finally {
    await machine.remove();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("machine add, ls, env, ssh, exec and rm over OpenSSH", async (t) => {
  await withMachine((machine, folder) =>
    withFleetLab("machine", 2, async (lab) => {
      // The second host lends its network and its engine; what runs there is the machine.
      const { layout, address } = lab.host("h2");
      await lab.host("h2").stop("agent");
      await lab.fleet("h1", "init", "--advertise-addr", lab.host("h1").address);
      const sshd = machine.start("mkdir /run/sshd; exec /usr/sbin/sshd -D -o UsePAM=no -p 2222", {
        namespace: layout.namespace,
        name: NAME,
        engineSocket: layout.engineSocket,
      });
      const destination = `ann@${address}:2222`;
      await Deno.mkdir(`${folder}/bin`);
      await Deno.writeTextFile(
        `${folder}/bin/ssh`,
        `#!/bin/sh\nexec /usr/bin/ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i ${folder}/key "$@"\n`,
        { mode: 0o755 },
      );
      const fleet = (...args: string[]) =>
        capture([BINARY, ...args], {
          env: {
            ...lab.host("h1").env(),
            PATH: `${folder}/bin:${Deno.env.get("PATH")}`,
            // This executable, and no release server of whoever runs the tests.
            FLEET_RELEASES: "",
          },
          timeoutMs: 300_000,
        });
      /** A line as the guide has it. */
      const typed = async (line: string) => {
        const { code, stdout, stderr } = await fleet(...line.split(" ").slice(1));
        assert.equal(code, 0, `${line}: ${stdout}${stderr}`);
        return { stdout, stderr };
      };
      const must = async (...args: string[]) => {
        const { code, stdout, stderr } = await fleet(...args);
        assert.equal(code, 0, `fleet ${args.join(" ")}: ${stdout}${stderr}`);
        return stdout;
      };
      const nodes = async () =>
        (await must("node", "ls", "--format", "{{.Hostname}} {{.Status}}")).trim();
      try {
        await until("sshd", async () => {
          const connection = await Deno.connect({ hostname: address, port: 2222 })
            .catch(() => undefined);
          connection?.close();
          return connection !== undefined;
        });

        await t.step("add installs this executable by install.sh, as sudo, and joins", async () => {
          const { stdout, stderr } = await typed(`fleet machine add ${destination}`);
          assert.equal(
            stdout,
            `This node joined a swarm as a worker.\n${NAME} is ${destination}\n`,
          );
          assert.match(stderr, /Installed: fleet version/);
          assert.doesNotMatch(stderr, /there is no .*sha256/);
          const info = await Deno.stat(machine.path("/usr/local/bin/fleet"));
          assert.deepEqual([info.mode! & 0o777, info.uid], [0o755, 0]);
          assert.match(await Deno.readTextFile(machine.path("/etc/group")), /^fleet:/m);
          await until("ready", async () => /^h2 Ready$/m.test(await nodes()), 60_000, 200);
        });

        await t.step("ls and env know the way to it", async () => {
          assert.match((await typed("fleet machine ls")).stdout, /h2 /);
          const format = "{{.Name}} {{.SSH}} {{.Role}}";
          assert.equal(
            await must("machine", "ls", "--format", format),
            `h1  leader\n${NAME} ${destination} worker\n`,
          );
          assert.equal(
            await must("machine", "env", NAME),
            `export FLEET_HOST=ssh://${destination}\n`,
          );
        });

        await t.step("ssh: a shell's command on the node, with its exit code", async () => {
          assert.equal(await must("ssh", NAME, "--", "id", "-un;", "hostname"), `ann\n${NAME}\n`);
          assert.equal((await fleet("ssh", NAME, "exit 42")).code, 42);
          // Through the machine that the agent is reached by, which is this one.
          const socket = "/run/fleet/fleet.sock";
          await must("ssh", NAME, `sudo chmod 777 ${socket}`);
          const self = await capture(
            [BINARY, "-H", `ssh://${destination}`, "info", "--format", "{{.Name}}"],
            { env: { PATH: `${folder}/bin:${Deno.env.get("PATH")}` }, timeoutMs: 180_000 },
          );
          assert.equal(self.stdout, `${NAME}\n`, self.stderr);
          assert.match((await typed("fleet ssh h2 -- df -h /")).stdout, / \/$/m);
        });

        await t.step("a context: the same under a name", async () => {
          const env = {
            PATH: `${folder}/bin:${Deno.env.get("PATH")}`,
            FLEET_CONFIG: `${folder}/contexts`,
          };
          const script = `
fleet() { "${BINARY}" "$@"; }
fleet context create office --host ssh://${destination}
fleet context use office
fleet info --format {{.Name}}`;
          const said = await capture(["sh", "-ec", script], { env, timeoutMs: 180_000 });
          assert.match(said.stdout, /^h2$/m, said.stderr);
        });

        await t.step("exec: a command in a container there, from the manager", async () => {
          const create = ["service", "create", "-q", "-d", "--no-resolve-image", "--name", "web"];
          await must(
            ...create,
            "--constraint",
            `node.hostname==${NAME}`,
            "busybox",
            "sleep",
            "999",
          );
          await until(
            "it runs",
            async () => {
              const ps = ["service", "ps", "--format", "{{.CurrentState}}", "web"];
              return (await must(...ps)).startsWith("Running");
            },
            60_000,
            200,
          );
          assert.equal(
            await must("exec", "web", "-e", "A=b c", "--", "sh", "-c", "echo $A"),
            "b c\n",
          );
          assert.equal((await fleet("exec", "web.1", "--", "sh", "-c", "exit 3")).code, 3);
          assert.notEqual((await typed("fleet exec web.1 -- hostname")).stdout, "");
        });

        await t.step("rm takes it out, forgets it, and leaves nothing there", async () => {
          const said = (await typed("fleet machine rm --yes --uninstall h2")).stdout;
          assert.match(
            said,
            /Node left the swarm\.\nfleet is removed from it\.\nh2 is forgotten\.\n/,
          );
          assert.equal(await nodes(), "h1 Ready");
          const left = await capture(
            [
              `${folder}/bin/ssh`,
              "-p",
              "2222",
              `ann@${address}`,
              "ls /usr/local/bin; cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
            ],
          );
          assert.match(left.stdout, /sshd/);
          assert.doesNotMatch(left.stdout, /fleet|deno/, left.stderr);
          assert.equal((await lab.host("h2").docker(["ps", "-q"])).stdout, "");
        });
      } finally {
        sshd.kill("SIGKILL");
        await sshd.status;
      }
    })
  );
});
