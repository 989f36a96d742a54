/** Machines over real OpenSSH, on loopback: the agent through a tunnel, and what add and rm run there. */
import assert from "node:assert/strict";
import { FakeAgent } from "../../cli/testing/fake_agent.ts";
import { fromRoot } from "../../scripts/run.ts";
import { capture, must } from "../../src/adapters/lab_hosts/process.ts";
import { until } from "../support/until.ts";

const TOKEN = "SWMTKN-1-known-token";
const ANSWERS: Readonly<Record<string, unknown>> = {
  "/services": [],
  "/nodes": [],
  "/nodes/n1": { ManagerStatus: { Addr: "10.0.0.1:2377" } },
  "/info": { Swarm: { NodeID: "n1" } },
  "/swarm": { JoinTokens: { Worker: TOKEN, Manager: "" }, Version: { Index: 1 }, Spec: {} },
};

interface Sshd {
  readonly folder: string;
  readonly port: number;
  /** The environment in which `ssh` finds its key and asks nobody. */
  readonly path: string;
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

async function withSshd(run: (sshd: Sshd) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-ssh-" });
  const port = freePort();
  await Deno.mkdir("/run/sshd", { recursive: true });
  for (const name of ["host", "user"]) {
    await must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${folder}/${name}`]);
  }
  for (const name of ["bin", "there"]) await Deno.mkdir(`${folder}/${name}`);
  const script = (path: string, text: string) =>
    Deno.writeTextFile(`${folder}/${path}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await script(
    "bin/ssh",
    `exec /usr/bin/ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i ${folder}/user "$@"`,
  );
  // The fleet of the other machine: what it was called with.
  await script("there/fleet", `echo "$*" >>${folder}/called; cat >>${folder}/input; echo done`);
  await Deno.writeTextFile(
    `${folder}/sshd_config`,
    `ListenAddress 127.0.0.1:${port}
HostKey ${folder}/host
AuthorizedKeysFile ${folder}/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
SetEnv PATH=${folder}/there:/usr/bin:/bin
`,
  );
  const sshd = new Deno.Command("/usr/sbin/sshd", {
    args: ["-D", "-e", "-f", `${folder}/sshd_config`],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await until("sshd", async () => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => undefined);
      connection?.close();
      return connection !== undefined;
    });
    await run({ folder, port, path: `${folder}/bin:${Deno.env.get("PATH")}` });
  } finally {
    sshd.kill("SIGTERM");
    await sshd.status;
    await Deno.remove(folder, { recursive: true });
  }
}

const fleet = (args: readonly string[], env: Record<string, string>) =>
  capture([
    Deno.execPath(),
    ...["run", "-A", "--quiet", "--no-check", "--unstable-http", "--unstable-net"],
    fromRoot("main.ts"),
    ...args,
  ], { env, timeoutMs: 180_000 });

Deno.test("over SSH", async (t) => {
  await withSshd(async ({ folder, port, path }) => {
    await using agent = new FakeAgent(({ path: asked }) => ANSWERS[asked]);
    const machine = `root@127.0.0.1:${port}`;
    const socket = agent.host.replace("unix://", "");

    await t.step(
      "--host ssh:// reaches the agent's socket there, and leaves no tunnel",
      async () => {
        const env = { PATH: path, FLEET_REMOTE_SOCKET: socket };
        const list = await fleet(["-H", `ssh://${machine}`, "service", "ls"], env);
        assert.equal(list.code, 0, list.stderr);
        assert.match(list.stdout, /^ID +NAME/);
        await until("no tunnel is left", async () => {
          const { stdout } = await capture(["ps", "-eo", "args"]);
          return !stdout.includes(`.sock:${socket}`);
        });
      },
    );

    await t.step("nobody there: ssh's own words, and what it was about", async () => {
      const { code, stderr } = await fleet(
        ["-H", `ssh://root@127.0.0.1:${freePort()}`, "service", "ls"],
        { PATH: path },
      );
      assert.equal(code, 1);
      assert.match(stderr, /refused[^]*no SSH connection to root@127\.0\.0\.1/);
    });

    await t.step("machine add and rm run there; the token is in no argument", async () => {
      const env = { PATH: path, FLEET_HOST: agent.host };
      const added = await fleet(["machine", "add", "--no-install", machine], env);
      assert.equal(added.code, 0, added.stderr);
      assert.equal(added.stdout, "done\ndone\n");
      const removed = await fleet(["machine", "rm", "--yes", machine], env);
      assert.equal(removed.code, 0, removed.stderr);
      assert.equal(
        await Deno.readTextFile(`${folder}/called`),
        "join --token-file - 10.0.0.1:2377\ninfo --format node={{.Swarm.NodeID}}\nleave --force\n",
      );
      assert.equal(await Deno.readTextFile(`${folder}/input`), `${TOKEN}\n`);
    });
  });
});
