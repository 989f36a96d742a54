/** Logs of services from all nodes, by the stock client and by fleet's, on three real hosts. */
import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import { BINARY } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const TALK = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; echo wrong $i >&2; done; " +
  "while true; do sleep 1; echo tick; done";

Deno.test("logs of all nodes", async (t) => {
  await withFleetLab("logs", 3, async (lab) => {
    await lab.form({ managers: 2 });
    const create = ["service", "create", "--detach", "--no-resolve-image"];
    await lab.docker(
      "h1",
      ...create,
      "--name",
      "talk",
      "--mode",
      "global",
      "busybox:latest",
      "sh",
      "-c",
      TALK,
    );
    await lab.converged("talk", 3);

    await t.step(
      "the stock client shows each task's lines, both streams, and whose they are",
      async () => {
        await until(
          "all have spoken",
          async () => {
            const { stdout, stderr } = await lab.tryDocker("h1", ["service", "logs", "talk"]);
            return stdout.match(/line 20$/gm)?.length === 3 &&
              stderr.match(/wrong 20$/gm)?.length === 3;
          },
        );
        const { stdout, stderr } = await lab.tryDocker("h1", ["service", "logs", "talk"]);
        for (const host of ["h1", "h2", "h3"]) {
          assert.match(
            stdout,
            new RegExp(
              `talk\\.0\\.\\w+@${host}\\s+\\| line 1\\n|talk\\..*@${host}\\s+\\| line 1\\n`,
            ),
          );
          assert.match(stderr, new RegExp(`@${host}\\s+\\| wrong 20\\n`));
        }
        const times = (await lab.docker("h1", "service", "logs", "-t", "talk")).trim().split("\n")
          .map((line) => line.split(" ")[0]!);
        assert.deepEqual(times, times.toSorted(), "by time, over all nodes");
      },
    );

    await t.step(
      "--tail counts over all tasks; a follower answers as the leader does",
      async () => {
        const tail = async (
          host: string,
        ) => (await lab.tryDocker(host, ["service", "logs", "--tail", "4", "--raw", "talk"]));
        for (const host of ["h1", "h2"]) {
          const { stdout, stderr } = await tail(host);
          assert.equal((stdout + stderr).trim().split("\n").length, 4, stdout + stderr);
        }
        const own = await lab.try("h2", "service", "logs", "--tail", "3", "talk");
        assert.match(own.stdout + own.stderr, /talk/);
      },
    );

    await t.step("one task by its id", async () => {
      const [task] = await lab.running("talk");
      const said = await lab.docker("h1", "service", "logs", "--raw", task!.ID);
      assert.equal(said.split("\n").filter((line) => line === "line 1").length, 1);
    });

    await t.step("following goes on with the task that replaces a killed one", async () => {
      const follow = new Deno.Command(BINARY, {
        args: ["service", "logs", "--follow", "--tail", "1", "talk"],
        env: lab.host("h1").env(),
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = follow.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let seen = "";
      const upTo = async (what: RegExp) => {
        while (!what.test(seen)) {
          const { value, done } = await reader.read();
          assert(!done, `the stream ended before ${what}: ${seen}`);
          seen += value;
        }
      };
      await upTo(/tick/);
      const victim = (await lab.containers("talk")).find(({ host }) => host === "h3")!;
      await lab.host("h3").docker(["kill", victim.id]);
      seen = "";
      // A fresh task begins with its first lines.
      await upTo(/@h3.*line 1\n/);
      follow.kill("SIGINT");
      await reader.cancel();
      await follow.status;
    });

    await t.step("a container of another node is read as if it were here", async () => {
      const there = (await lab.containers("talk")).find(({ host }) => host === "h3")!;
      const show = ["inspect", "--format", "{{.Id}} {{.State.Status}}"];
      for (const from of ["h1", "h2"]) {
        const lines = await lab.tryDocker(from, ["logs", "--tail", "3", there.id]);
        assert.match(lines.stdout + lines.stderr, /tick|line|wrong/);
        const seen = await lab.docker(from, ...show, there.id.slice(0, 12));
        assert.equal(seen.trim(), `${there.id} running`);
        assert.match(await lab.docker(from, "top", there.id), /sleep|sh/);
        assert.match(await lab.docker(from, "stats", "--no-stream", there.id), /%/);
      }
      const told = await lab.fleet("h1", "diagnose", "--lines", "5", "talk");
      assert.match(told, /Reasons\n {2}task: non-zero exit \(137\)/);
      assert.match(told, /Last lines\n( {2}.*\n){5}$/);
      const gone = await lab.tryDocker("h1", ["logs", "f".repeat(64)]);
      assert.match(gone.stderr, /No such container/);
    });

    await t.step(
      "a node that does not answer is named at the end, and holds nothing up",
      async () => {
        await lab.host("h3").link("down");
        const started = performance.now();
        const { stdout, stderr } = await lab.tryDocker("h1", [
          "service",
          "logs",
          "--tail",
          "2",
          "talk",
        ]);
        // One that hangs is given up after 5 s.
        assert((performance.now() - started) / 1000 < 40);
        assert.match(stdout + stderr, /tick|line/);
        assert.match(stderr, /incomplete log stream.*h3/s);
        await lab.host("h3").link("up");
      },
    );

    await t.step(
      "a terminal service's log has the lines of all tasks, and ends with them",
      async () => {
        const say = "echo hello of $(hostname); while true; do sleep 1; done";
        await lab.docker(
          "h1",
          ...[...create, "--name", "term", "--tty", "--mode", "global", "--hostname"],
          "{{.Node.Hostname}}",
          ...["--stop-grace-period", "1s", "busybox:latest", "sh", "-c", say],
        );
        await lab.converged("term", 3);
        const hello = [1, 2, 3].map((n) => `hello of h${n}\r`);
        await until("all have spoken", async () => {
          const { stdout } = await lab.tryDocker("h1", ["service", "logs", "--raw", "term"]);
          return stdout.trim().split("\n").map((line) => line.trim() + "\r").toSorted().join() ===
            hello.join();
        });
        const own = await lab.fleet("h2", "service", "logs", "--raw", "term");
        assert.deepEqual(
          own.trimEnd().split("\n").map((line) => line.trim() + "\r").toSorted(),
          hello,
        );
        const follow = new Deno.Command("docker", {
          args: ["service", "logs", "--follow", "--raw", "term"],
          env: lab.host("h1").env(),
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const told = new Response(follow.stderr).text();
        const reader = follow.stdout.pipeThrough(new TextDecoderStream()).getReader();
        let seen = (await reader.read()).value ?? "";
        await lab.docker("h1", "service", "rm", "term");
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          seen += value;
        }
        assert.deepEqual({ ...await follow.status, told: await told }, {
          success: true,
          code: 0,
          signal: null,
          told: "",
        });
        assert.equal(seen.match(/hello of h\d\r\n/g)?.length, 3, seen);
      },
    );

    await t.step("wrong questions are refused in Docker's words", async () => {
      const { code, stderr } = await lab.tryDocker("h1", ["service", "logs", "nope"]);
      assert.notEqual(code, 0);
      assert.match(stderr, /no such task or service: nope/);
    });

    await t.step("a followed container whose host goes down: the client is told why", async () => {
      const there = (await lab.containers("talk")).find(({ host }) => host === "h3")!;
      const follow = new Deno.Command("docker", {
        args: ["logs", "--follow", there.id],
        env: lab.host("h1").env(),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const reader = follow.stdout.getReader();
      assert(!(await reader.read()).done);
      const told = new Response(follow.stderr).text();
      await lab.host("h3").crash();
      while (!(await reader.read()).done);
      const { code } = await follow.status;
      assert.match(await told, /error from daemon in stream: Error grabbing logs: .+/);
      assert.notEqual(code, 0);
    });
  });
});
