/** The everyday verbs on real engines: one service of one task, and a restart that starts before it stops. */
import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { withFleetLab } from "../support/fleet_lab.ts";

interface ServiceJson {
  readonly Spec: { readonly UpdateConfig?: { readonly Order?: string } };
  readonly UpdateStatus?: { readonly State?: string };
}

Deno.test("run, restart and stop do on real engines what they say", async (t) => {
  await withFleetLab("everyday", 2, async (lab) => {
    await lab.form();

    await t.step(
      "run pins one task, publishes its port, and reads its flags behind the image",
      async () => {
        await lab.fleet(
          "h1",
          ...["run", "busybox", "-r", "web", "--node", "h2", "-e", "WORD=hello", "-p", "8080:80"],
          ...[
            "--",
            "sh",
            "-c",
            "trap 'exit 0' TERM; echo $WORD >/index.html; httpd -p 80 -h /; while :; do sleep 1; done",
          ],
        );
        await lab.converged("web", 1);
        assert.deepEqual((await lab.containers("web")).map(({ host }) => host), ["h2"]);
        await until("its port answers", async () => {
          const asked = ["curl", "-s", "-m", "2", `http://${lab.host("h1").address}:8080/`];
          return (await lab.host("h1").exec(asked)).stdout === "hello\n";
        });
      },
    );

    await t.step(
      "restart starts the new task first, and leaves the service's order alone",
      async () => {
        await lab.fleet("h1", "service", "update", "-q", "--update-order", "stop-first", "web");
        const [before] = await lab.containers("web");
        const since = (await lab.host("h2").exec(["date", "+%s.%N"])).stdout.trim();
        await lab.fleet("h1", "restart", "web");
        await lab.converged("web", 1);
        const [after] = await lab.containers("web");
        assert.notEqual(after?.id, before?.id);
        const { stdout } = await lab.host("h2").exec([
          "sh",
          "-c",
          `docker events --since ${since} --until $(date +%s.%N) --filter event=start --filter event=die --format '{{.Action}} {{.ID}}'`,
        ]);
        assert.deepEqual(stdout.trim().split("\n"), [`start ${after?.id}`, `die ${before?.id}`]);
        const service = await lab.get<ServiceJson>("h1", "/v1.41/services/web");
        assert.equal(service.Spec.UpdateConfig?.Order, "stop-first");
        assert.equal(service.UpdateStatus?.State, "completed");
      },
    );

    await t.step("stop keeps the service without tasks, and restart brings them back", async () => {
      await lab.fleet("h1", "stop", "web");
      await until("no container is left", async () => (await lab.containers("web")).length === 0);
      await lab.fleet("h1", "restart", "web");
      await lab.converged("web", 1);
    });
  });
});
