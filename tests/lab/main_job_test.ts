import assert from "node:assert/strict";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const SLEEP = ["busybox:latest", "sleep", "100000"];
/** Rounds of killing containers at random. */
const KILL_ROUNDS = 20;

const create = (lab: FleetLab, name: string, replicas: number, ...flags: string[]) =>
  lab.fleet(
    "h1",
    "service",
    "create",
    "-d",
    "-q",
    "--no-resolve-image",
    "--name",
    name,
    "--replicas",
    String(replicas),
    "--stop-grace-period",
    "1s",
    ...flags,
    ...SLEEP,
  );

Deno.test("a service is kept running on three hosts", async (t) => {
  await withFleetLab("job", 3, async (lab) => {
    await lab.form();

    await t.step("replicas spread over the hosts, and both clients see them", async () => {
      await create(lab, "web", 3);
      await lab.converged("web", 3);
      assert.equal(new Set((await lab.containers("web")).map(({ host }) => host)).size, 3);
      assert.match(await lab.docker("h1", "service", "ls"), /web +replicated +3\/3/);
      assert.match(await lab.fleet("h1", "service", "ls"), /web +replicated +3\/3/);
    });

    await t.step("a container removed behind fleet's back is replaced", async () => {
      const victim = (await lab.containers("web"))[0]!;
      await lab.host(victim.host).docker(["rm", "-f", victim.id]);
      await lab.converged("web", 3);
      assert.ok(!(await lab.containers("web")).some(({ id }) => id === victim.id));
    });

    await t.step("scaling up and down touches no task that stays", async () => {
      const before = (await lab.containers("web")).map(({ id }) => id);
      await lab.fleet("h1", "service", "scale", "-d", "web=6");
      await lab.converged("web", 6);
      const grown = (await lab.containers("web")).map(({ id }) => id);
      assert.ok(before.every((id) => grown.includes(id)), "a running task was replaced by a scale");
      await lab.fleet("h1", "service", "scale", "-d", "web=3");
      await lab.converged("web", 3);
      assert.ok((await lab.containers("web")).every(({ id }) => grown.includes(id)));
    });

    await t.step(
      "a restarted agent adopts its containers, whether it was asked to stop or killed",
      async () => {
        for (const signal of ["SIGTERM", "SIGKILL"] as const) {
          const before = (await lab.containers("web")).map(({ id }) => id).sort();
          const startedAt = performance.now();
          await lab.host("h2").stop("agent", signal);
          assert.ok(
            performance.now() - startedAt < 30_000,
            "the agent took longer than 30 s to stop",
          );
          await lab.host("h2").startAgent(lab.lab.binary);
          await until(
            "h2 is back",
            async () => /h2 +Ready/.test(await lab.fleet("h1", "node", "ls")),
          );
          await lab.converged("web", 3);
          assert.deepEqual(
            (await lab.containers("web")).map(({ id }) => id).sort(),
            before,
          );
        }
      },
    );

    await t.step("the manager's agent restarts without touching a container", async () => {
      const before = (await lab.containers("web")).map(({ id }) => id).sort();
      await lab.host("h1").stop("agent", "SIGKILL");
      await lab.host("h1").startAgent(lab.lab.binary);
      await until(
        "all ready",
        async () =>
          (await lab.try("h1", "node", "ls", "--format", "{{.Status}}")).stdout.trim() ===
            "Ready\nReady\nReady",
      );
      await lab.converged("web", 3);
      assert.deepEqual((await lab.containers("web")).map(({ id }) => id).sort(), before);
    });

    await t.step(`${KILL_ROUNDS} rounds of random kills converge`, async () => {
      await create(lab, "hardy", 6, "--restart-delay", "100ms");
      await lab.converged("hardy", 6);
      for (let round = 0; round < KILL_ROUNDS; round++) {
        const running = await lab.containers("hardy");
        const victims = running.filter((_, i) => (i + round) % 3 === 0);
        await Promise.all(
          victims.map(({ host, id }, i) =>
            lab.host(host).docker((round + i) % 2 === 0 ? ["kill", id] : ["rm", "-f", id])
          ),
        );
        await lab.converged("hardy", 6);
      }
      await until("no slot keeps more than six tasks", async () => {
        const perSlot = Map.groupBy(await lab.tasks("hardy"), ({ Slot }) => Slot);
        return [...perSlot.values()].every((history) => history.length <= 6);
      });
      await lab.fleet("h1", "service", "rm", "hardy");
    });

    await t.step(
      "an image that does not exist is the task's error, and is tried again",
      async () => {
        await lab.fleet(
          "h1",
          "service",
          "create",
          "-d",
          "-q",
          "--no-resolve-image",
          "--name",
          "ghost",
          "--restart-delay",
          "200ms",
          "nothing.invalid/none:1",
        );
        await until(
          "two rejected tasks",
          async () =>
            (await lab.tasks("ghost")).filter(({ Status }) =>
              Status.State === "rejected" && Status.Err
            ).length >= 2,
        );
        await lab.fleet("h1", "service", "rm", "ghost");
      },
    );

    await t.step("an update replaces the tasks, a rollback brings the old spec back", async () => {
      await lab.fleet(
        "h1",
        "service",
        "update",
        "-d",
        "--env-add",
        "COLOR=blue",
        "--update-monitor",
        "500ms",
        "--rollback-monitor",
        "500ms",
        "web",
      );
      const spec = async () => (await lab.get<
        {
          Spec: { TaskTemplate: { ContainerSpec: { Env?: string[] } } };
          UpdateStatus?: { State: string };
        }
      >("h1", "/v1.41/services/web"));
      await until(
        "update completed",
        async () => (await spec()).UpdateStatus?.State === "completed",
      );
      await lab.converged("web", 3);
      const { host, id } = (await lab.containers("web"))[0]!;
      assert.match(
        (await lab.host(host).docker(["inspect", "-f", "{{.Config.Env}}", id])).stdout,
        /COLOR=blue/,
      );
      await lab.fleet("h1", "service", "rollback", "-d", "web");
      await until(
        "rollback completed",
        async () => (await spec()).UpdateStatus?.State === "rollback_completed",
      );
      assert.equal((await spec()).Spec.TaskTemplate.ContainerSpec.Env, undefined);
      await lab.converged("web", 3);
    });

    await t.step("a host that dies loses its tasks to the others", async () => {
      await lab.fleet("h1", "service", "scale", "-d", "web=6");
      await lab.converged("web", 6);
      lab.host("h3").signal("agent", "SIGKILL");
      await lab.host("h3").killEngine();
      // How long it takes is measured by the benchmark.
      await lab.converged("web", 6);
      assert.match(await lab.fleet("h1", "node", "ls"), /h3 +Down/);
    });

    await t.step("a host that comes back has no container that runs elsewhere too", async () => {
      await lab.host("h3").startEngine();
      await lab.host("h3").startAgent(lab.lab.binary);
      await until("h3 is back", async () => /h3 +Ready/.test(await lab.fleet("h1", "node", "ls")));
      await lab.converged("web", 6);
    });

    await t.step("a removed service leaves no container", async () => {
      await lab.fleet("h1", "service", "rm", "web");
      await until(
        "no container of web",
        async () => (await lab.containers("web")).length === 0,
      );
      assert.equal((await lab.try("h1", "service", "inspect", "web")).code, 1);
    });

    await t.step("a worker leaves, is down, and can be removed", async () => {
      await lab.fleet("h3", "leave");
      await until("h3 is down", async () => /h3 +Down/.test(await lab.fleet("h1", "node", "ls")));
      await lab.fleet("h1", "node", "rm", "h3");
      // Its name only: ids are random and may have these letters, too.
      const names = await lab.fleet("h1", "node", "ls", "--format", "{{.Hostname}}");
      assert.doesNotMatch(names, /h3/);
    });
  });
});
