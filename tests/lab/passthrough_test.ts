import assert from "node:assert/strict";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import type { Output } from "../../src/adapters/lab_hosts/process.ts";
import { withFleetLab } from "../support/fleet_lab.ts";

/**
 * What the stock client does against the engine itself it must do through fleet's socket: the same
 * output and the same exit code.
 */
Deno.test("the stock client works through fleet's socket as on the engine", async (t) => {
  await withFleetLab("pass", 1, async (lab) => {
    await lab.form();
    const host = lab.host("h1");
    const through = (args: readonly string[], stdin?: string) => lab.tryDocker("h1", args, stdin);
    const direct = (args: readonly string[], stdin?: string) =>
      host.docker(args, stdin === undefined ? {} : { stdin });
    const same = async (args: readonly string[], stdin?: string): Promise<Output> => {
      const [a, b] = [await through(args, stdin), await direct(args, stdin)];
      assert.equal(a.code, b.code, `docker ${args.join(" ")}: ${a.stderr}`);
      assert.equal(a.stdout, b.stdout);
      return a;
    };

    await t.step("version, ps, images", async () => {
      await same(["version"]);
      await same(["ps", "-a", "--format", "{{.Names}}"]);
      await same(["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]);
    });

    await t.step("info has fleet's Swarm stanza", async () => {
      const { stdout } = await through(["info"]);
      assert.match(stdout, /Swarm: active/);
      assert.match(stdout, /Is Manager: true/);
      assert.match(stdout, new RegExp(`Node Address: ${host.address.replaceAll(".", "\\.")}`));
      assert.match((await direct(["info"])).stdout, /Swarm: inactive/);
    });

    await t.step("run: output, exit code, piped stdin", async () => {
      await same(["run", "--rm", "busybox", "echo", "hello"]);
      assert.equal((await same(["run", "--rm", "busybox", "sh", "-c", "exit 42"])).code, 42);
      assert.equal(
        (await same(["run", "--rm", "-i", "busybox", "wc", "-c"], "12345")).stdout.trim(),
        "5",
      );
      assert.equal((await same(["run", "--rm", "busybox", "nothing-here"])).code, 127);
      assert.equal((await same(["run", "--rm", "no.invalid/none"])).code, 125);
    });

    await t.step("run -it on a terminal", async () => {
      const { stdout, code } = await capture(
        [
          "script",
          "-qec",
          "docker run --rm -it busybox sh -c 'test -t 0 && echo terminal; exit 3'",
          "/dev/null",
        ],
        { env: host.env(), stdin: "", timeoutMs: 180_000 },
      );
      assert.match(stdout, /terminal/);
      assert.equal(code, 3);
    });

    await t.step("exec with stdin, cp, logs -f, stop", async () => {
      assert.equal(
        (await through([
          "run",
          "-d",
          "--name",
          "box",
          "busybox",
          "sh",
          "-c",
          "echo one; sleep 1; echo two; exec sleep 1000",
        ])).code,
        0,
      );
      assert.equal(
        (await same(["exec", "-i", "box", "cat"], "through the pipe")).stdout,
        "through the pipe",
      );
      assert.equal((await same(["exec", "box", "sh", "-c", "exit 7"])).code, 7);
      const { stdout: archive } = await through(["cp", "box:/etc/passwd", "-"]);
      assert.match(archive, /root:x:0:0/);
      const logs = through(["logs", "-f", "box"]);
      assert.equal((await through(["stop", "-t", "0", "box"])).code, 0);
      assert.match((await logs).stdout, /one/);
      await same(["logs", "box"]);
      assert.equal((await through(["rm", "-f", "box"])).code, 0);
    });

    await t.step("events", async () => {
      const since = String(Math.floor(Date.now() / 1000) - 1);
      await through(["run", "--rm", "--name", "seen", "busybox", "true"]);
      const until = String(Math.floor(Date.now() / 1000) + 1);
      await same([
        "events",
        "--since",
        since,
        "--until",
        until,
        "--filter",
        "container=seen",
        "--format",
        "{{.Action}}",
      ]);
    });

    await t.step("import and build", async () => {
      const folder = await Deno.makeTempDir();
      try {
        await Deno.writeTextFile(`${folder}/file`, "content");
        const tar = `${folder}/x.tar`;
        assert.equal((await capture(["tar", "-C", folder, "-cf", tar, "file"])).code, 0);
        assert.match((await through(["import", tar, "imported:1"])).stdout, /^sha256:/);
        await Deno.writeTextFile(
          `${folder}/Dockerfile`,
          "FROM busybox\nCOPY file /file\nRUN cat /file\nCMD cat /file\n",
        );
        const built = await capture(["docker", "build", "-q", "-t", "built:1", folder], {
          env: { ...host.env(), DOCKER_BUILDKIT: "0" },
          timeoutMs: 300_000,
        });
        assert.equal(built.code, 0, built.stderr);
        assert.equal((await through(["run", "--rm", "built:1"])).stdout, "content");
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });

    await t.step("a keep-alive connection may alternate between the engine and fleet", async () => {
      const client = Deno.createHttpClient({
        proxy: { transport: "unix", path: host.layout.fleetSocket },
        poolMaxIdlePerHost: 1,
      });
      try {
        for (let i = 0; i < 20; i++) {
          const path = ["/nodes", "/containers/json", "/v1.41/services", "/v1.24/version"][i % 4]!;
          const response = await fetch(`http://fleet${path}`, { client } as RequestInit);
          assert.equal(response.status, 200, path);
          await response.text();
        }
      } finally {
        client.close();
      }
    });

    await t.step("the client shows its cluster commands: the ping says manager", async () => {
      const client = Deno.createHttpClient({
        proxy: { transport: "unix", path: host.layout.fleetSocket },
      });
      try {
        for (const method of ["HEAD", "GET"]) {
          const response = await fetch("http://fleet/_ping", { method, client } as RequestInit);
          await response.text();
          assert.equal(response.headers.get("swarm"), "active/manager");
          assert.equal(response.headers.get("api-version"), "1.41");
        }
      } finally {
        client.close();
      }
      assert.match((await through(["service", "--help"])).stdout, /create/);
    });

    await t.step("an engine that is gone is named, and found again when it is back", async () => {
      await host.killEngine();
      const gone = await through(["ps"]);
      assert.notEqual(gone.code, 0);
      assert.match(gone.stderr, /no Docker Engine answers on .*docker\.sock/);
      await host.startEngine();
      await same(["ps"]);
    });
  });
});
