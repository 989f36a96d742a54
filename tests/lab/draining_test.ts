/** Tasks leave the balancer before they are stopped: nothing that was asked stays unanswered. */
import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import { startLoad } from "../support/http_load.ts";
import { loadNetworkImage, NETWORK_IMAGE } from "./support/network_image.ts";
import { until } from "../support/until.ts";

/** Answers at once at `/`; takes as long as the query says at `/cgi-bin/slow`. */
const SERVE = [
  "busybox mkdir -p /www/cgi-bin; hostname >/www/index.html",
  `printf '#!/bin/sh\\nsleep $QUERY_STRING\\nprintf "Content-Type: text/plain\\r\\n\\r\\nslow\\n"\\n' >/www/cgi-bin/slow`,
  "busybox chmod +x /www/cgi-bin/slow; exec httpd -f -p 80 -h /www",
].join("; ");
const PORT_RANGE = "/proc/sys/net/ipv4/ip_local_port_range";
const PORTS = "32768 36768";
const HEALTH = ["--health-cmd", "curl -sf http://127.0.0.1/", "--health-interval", "300ms"];

Deno.test("tasks are drained before they are stopped", async (t) => {
  await withFleetLab("drain", 2, async (lab) => {
    await lab.form();
    await loadNetworkImage(lab.lab.hosts);
    const targets = lab.lab.hosts.map(({ address }) => `${address}:8080`);
    await lab.docker(
      "h1",
      ...["service", "create", "--detach", "--no-resolve-image", "--name", "web", ...HEALTH],
      ...["--replicas", "4", "--publish", "8080:80", "--stop-grace-period", "1s"],
      ...[NETWORK_IMAGE, "sh", "-c", SERVE],
    );
    await lab.converged("web", 4);

    await t.step("scaling down waits for answers that are under way", async () => {
      await until(
        "all four answer",
        async () => {
          const { stdout } = await lab.host("h1").exec([
            "sh",
            "-c",
            "for i in $(seq 8); do curl -s -m 2 http://127.0.0.1:8080/; done",
          ]);
          return new Set(stdout.split("\n").filter(Boolean)).size === 4;
        },
      );
      const asked = lab.lab.hosts.flatMap(({ name }) =>
        Array.from({ length: 4 }, () =>
          lab.host(name).exec([
            ...["curl", "-sS", "-m", "60", `http://${lab.host(name).address}:8080/cgi-bin/slow?8`],
          ]))
      );
      // All requests have reached their tasks when as many shells sleep in the containers.
      await until("all are under way", async () => {
        const found = await Promise.all(
          (await lab.containers("web")).map(({ host, id }) =>
            lab.host(host).docker(["top", id, "-o", "pid,args"])
          ),
        );
        const lines = found.flatMap(({ stdout }) => stdout.split("\n"));
        return lines.filter((line) => /sleep 8$/.test(line)).length === asked.length;
      });
      await lab.docker("h1", "service", "scale", "--detach", "web=1");
      const answers = await Promise.all(asked);
      assert.deepEqual(answers.map(({ stdout }) => stdout), asked.map(() => "slow\n"));
      await lab.converged("web", 1);
    });

    await t.step("a task without connections is stopped without delay", async () => {
      await lab.docker("h1", "service", "scale", "--detach", "web=2");
      await lab.converged("web", 2);
      const began = performance.now();
      await lab.docker("h1", "service", "scale", "--detach", "web=1");
      await lab.converged("web", 1);
      const ms = performance.now() - began;
      // The grace period of a shell that ignores SIGTERM is 1 s; waiting for nobody takes 20 s.
      assert(ms < 9_000, `${ms} ms`);
    });

    await t.step("connections that do not end hold it up for the labelled time only", async () => {
      await lab.docker(
        "h1",
        "service",
        "update",
        "--detach",
        "--label-add",
        "fleet.drain=2s",
        "web",
      );
      await lab.docker("h1", "service", "scale", "--detach", "web=2");
      await lab.converged("web", 2);
      const asked = Array.from(
        { length: 4 },
        () =>
          lab.host("h1").exec(["curl", "-sS", "-m", "30", "http://127.0.0.1:8080/cgi-bin/slow?20"]),
      );
      await until("both have some", async () => {
        const found = await Promise.all(
          (await lab.containers("web")).map(({ host, id }) =>
            lab.host(host).docker(["top", id, "-o", "pid,args"])
          ),
        );
        return found.every(({ stdout }) => /sleep 20$/m.test(stdout));
      });
      await lab.docker("h1", "service", "scale", "--detach", "web=1");
      await lab.converged("web", 1);
      const log = (await lab.host("h1").log("agent")) + (await lab.host("h2").log("agent"));
      assert.match(log, /stopped with connections open/);
      await Promise.all(asked);
    });

    await t.step("updates, scaling and draining a node fail no request", async () => {
      // Clients come back from the same port within seconds, as many clients behind one address do.
      for (const { name } of lab.lab.hosts) {
        const narrow = await lab.host(name).exec(["sh", "-c", `echo ${PORTS} >${PORT_RANGE}`]);
        assert.equal(narrow.code, 0, narrow.stderr);
      }
      const loads = await Promise.all(
        lab.lab.hosts.map(({ name }) => startLoad(lab.host(name), { connections: 4, targets })),
      );
      await lab.docker("h1", "service", "scale", "--detach", "web=6");
      await lab.converged("web", 6);
      await lab.docker(
        "h1",
        ...["service", "update", "--detach=false", "--quiet", "--no-resolve-image", "--force"],
        ...["--update-order", "start-first", "--update-parallelism", "3", "web"],
      );
      await lab.docker("h1", "service", "scale", "--detach", "web=3");
      await lab.converged("web", 3);
      await lab.docker("h1", "node", "update", "--availability", "drain", "h2");
      await until("h2 is empty", async () => {
        const containers = await lab.containers("web");
        return containers.length === 3 && containers.every(({ host }) => host === "h1");
      });
      const results = await Promise.all(loads.map((load) => load.stop()));
      const failures = results.map(({ failures }) => failures);
      assert.deepEqual(results.map(({ bad }) => bad), [0, 0], JSON.stringify(failures));
      const good = results.reduce((sum, result) => sum + result.good, 0);
      assert(good > 100, `${good} requests`);
      console.log(`${good} requests, none failed`);
    });
  });
});
