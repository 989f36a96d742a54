/** Commands, terminals and copies in containers of other nodes, by the stock client and any manager. */
import assert from "node:assert/strict";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { BINARY, withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const MEGABYTES = 8;

Deno.test("exec, attach and cp reach containers of other nodes", async (t) => {
  await withFleetLab("exec", 3, async (lab) => {
    await lab.form({ managers: 2 });
    await lab.docker(
      "h1",
      ...["service", "create", "--detach", "--no-resolve-image", "--name", "far"],
      ...["--constraint", "node.role==worker", "--stop-grace-period", "1s"],
      ...["busybox:latest", "sh", "-c", "while read line; do echo got $line; done; sleep 1000"],
    );
    await lab.converged("far", 1);
    const [there] = await lab.containers("far");
    assert.equal(there?.host, "h3");
    const { id, task } = there;

    // The leader, and a manager that has to go through it.
    for (const from of ["h1", "h2"]) {
      const exec = (args: readonly string[], stdin?: string) =>
        lab.tryDocker(from, ["exec", ...args], stdin);

      await t.step(`${from}: output of both streams and the exit code come back`, async () => {
        const script = "echo out; echo err >&2; exit 42";
        assert.deepEqual(await exec([id, "sh", "-c", script]), {
          code: 42,
          stdout: "out\n",
          stderr: "err\n",
        });
        const byName = await exec([`far.1.${task}`, "hostname"]);
        assert.equal(byName.stdout.trim(), id.slice(0, 12), byName.stderr);
        assert.equal(
          (await exec(["-e", "A=b c", "-w", "/tmp", id, "sh", "-c", "echo $A $PWD"])).stdout,
          "b c /tmp\n",
        );
        assert.match(String((await exec([id, "nothing-there"])).code), /^12[67]$/);
      });

      await t.step(
        `${from}: the end of what is typed ends the program, not its output`,
        async () => {
          const text = "x".repeat(100_000);
          const { stdout, code } = await exec(["-i", id, "sh", "-c", "wc -c; echo done"], text);
          assert.deepEqual({ stdout, code }, { stdout: "100000\ndone\n", code: 0 });
        },
      );

      await t.step(`${from}: ${MEGABYTES} MB go through whole, both ways`, async () => {
        const out = await capture(
          [
            "sh",
            "-c",
            `docker exec ${id} sh -c 'yes abcdefg | head -c ${MEGABYTES}000000' | md5sum; ` +
            `yes abcdefg | head -c ${MEGABYTES}000000 | docker exec -i ${id} md5sum; ` +
            `yes abcdefg | head -c ${MEGABYTES}000000 | md5sum`,
          ],
          { env: lab.host(from).env(), timeoutMs: 180_000 },
        );
        const sums = out.stdout.trim().split("\n").map((line) => line.split(" ")[0]);
        assert.equal(sums.length, 3, out.stderr);
        assert.equal(new Set(sums).size, 1, sums.join());
      });

      await t.step(
        `${from}: a terminal has the client's size and gives the exit code`,
        async () => {
          const { stdout, code } = await terminal(
            lab,
            from,
            `stty rows 33 cols 99; docker exec -it ${id} sh -c 'until stty size | grep -q 33.99; do sleep 0.1; done; test -t 0 && stty size; exit 3'`,
          );
          assert.match(stdout, /33 99/);
          assert.equal(code, 3);
        },
      );

      await t.step(`${from}: fleet service exec names the task by its place`, async () => {
        const script = "echo out $A; echo err >&2; exit 7";
        assert.deepEqual(
          await lab.try(
            from,
            ...["service", "exec", "-e", "A=b", "far.1", "--", "sh", "-c", script],
          ),
          { code: 7, stdout: "out b\n", stderr: "err\n" },
        );
        const { stdout, code } = await terminal(
          lab,
          from,
          `stty rows 31 cols 97; ${BINARY} service exec -it far.1 -- ` +
            `sh -c 'until stty size | grep -q 31.97; do sleep 0.1; done; test -t 0 && stty size; hostname; exit 5'`,
        );
        assert.match(stdout, /31 97/);
        assert.ok(stdout.includes(id.slice(0, 12)), stdout);
        assert.equal(code, 5);
        const gone = await lab.try(from, "service", "exec", "far.9", "--", "true");
        assert.notEqual(gone.code, 0);
        assert.match(gone.stderr, /far\.9/);
      });

      await t.step(
        `${from}: docker attach shows what the container says from then on`,
        async () => {
          const child = new Deno.Command("docker", {
            args: ["attach", "--no-stdin", "--sig-proxy=false", id],
            env: lab.host(from).env(),
            stdin: "null",
            stdout: "piped",
            stderr: "null",
          }).spawn();
          let shown = "";
          const reading = (async () => {
            const decoder = new TextDecoder();
            for await (const chunk of child.stdout) {
              shown += decoder.decode(chunk, { stream: true });
            }
          })();
          try {
            // What was said before somebody listened is not repeated: it is said until it is heard.
            await until(`${from} hears it`, async () => {
              await exec([id, "sh", "-c", `echo heard by ${from} > /proc/1/fd/1`]);
              return shown.includes(`heard by ${from}\n`);
            });
          } finally {
            child.kill("SIGKILL");
            await child.status;
            await reading;
          }
          const inspected = await lab.docker(from, "inspect", "--format", "{{.State.Running}}", id);
          assert.equal(inspected.trim(), "true", "the container goes on");
        },
      );

      await t.step(`${from}: files are copied in and out`, async () => {
        const folder = await Deno.makeTempDir();
        await Deno.writeTextFile(`${folder}/in.txt`, `from ${from}`);
        await lab.docker(from, "cp", `${folder}/in.txt`, `${id}:/tmp/there.txt`);
        await lab.docker(from, "cp", `${id}:/tmp/there.txt`, `${folder}/out.txt`);
        assert.equal(await Deno.readTextFile(`${folder}/out.txt`), `from ${from}`);
        const missing = await lab.tryDocker(from, ["cp", `${id}:/nothing`, folder]);
        assert.equal(missing.code, 1);
        assert.match(missing.stderr, /[Cc]ould not find the file|No such/);
        await Deno.remove(folder, { recursive: true });
      });

      await t.step(`${from}: detached commands run, and changes show`, async () => {
        await lab.docker(from, "exec", "-d", id, "touch", `/tmp/detached-${from}`);
        const { stdout } = await lab.tryDocker(from, ["diff", id]);
        assert.match(stdout, /\/tmp/);
      });
    }

    await t.step("a command's id names its task: nothing else can be reached by it", async () => {
      const host = lab.host("h3");
      const { stdout } = await host.docker(["run", "-d", "busybox", "sleep", "1000"]);
      const other = stdout.trim();
      const made = await post(
        host.layout.engineSocket,
        `/containers/${other}/exec`,
        { Cmd: ["id"] },
      );
      const { Id } = JSON.parse(made) as { Id: string };
      const forged = await post(
        lab.host("h1").layout.fleetSocket,
        `/exec/${Id}.${task}/start`,
        { Detach: false },
      );
      assert.match(forged, /No such exec instance/);
      await host.docker(["rm", "-f", other]);
    });
  });
});

/** A script on a terminal of its own. */
async function terminal(lab: FleetLab, host: string, script: string) {
  return await capture(["script", "-qec", `sh -c ${JSON.stringify(script)}`, "/dev/null"], {
    env: lab.host(host).env(),
    stdin: "",
    timeoutMs: 180_000,
  });
}

async function post(socket: string, path: string, body: unknown): Promise<string> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  try {
    const init: RequestInit & { client: Deno.HttpClient } = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      client,
    };
    return await (await fetch(`http://docker${path}`, init)).text();
  } finally {
    client.close();
  }
}
