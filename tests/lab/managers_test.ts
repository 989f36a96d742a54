import assert from "node:assert/strict";
import { until } from "../../src/adapters/lab_hosts/process.ts";
import { checkHistory } from "../sim/linearizability.ts";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { ApiClients } from "../support/api_clients.ts";

const MANAGERS = ["h1", "h2", "h3"];

/** The host that leads, as `host` knows it. */
async function leader(lab: FleetLab, host: string): Promise<string | undefined> {
  const { stdout } = await lab.try(
    host,
    "node",
    "ls",
    "--format",
    "{{.Hostname}} {{.ManagerStatus}}",
  );
  return /^(\S+) Leader$/m.exec(stdout)?.[1];
}

const write = (lab: FleetLab, host: string, name: string) =>
  lab.try(
    host,
    "service",
    "create",
    "-d",
    "-q",
    "--no-resolve-image",
    "--replicas",
    "0",
    "--name",
    name,
    "busybox",
  );

Deno.test("several managers: nothing acknowledged is lost", async (t) => {
  await withFleetLab("raft", 3, async (lab) => {
    await lab.form({ managers: 3 });
    await until(
      "three managers",
      async () => /3 managers, 3 reachable/.test(await lab.fleet("h1", "info")),
    );

    await t.step("every manager answers reads and passes writes on", async () => {
      for (const host of MANAGERS) {
        assert.equal((await write(lab, host, `via-${host}`)).code, 0);
        for (const other of MANAGERS) {
          assert.match(await lab.fleet(other, "service", "ls"), new RegExp(`via-${host} `));
        }
      }
    });

    await t.step(
      "what clients see stays linearizable while leaders are killed, hung and cut off",
      async () => {
        const clients = ApiClients.start(lab, MANAGERS, 6);
        const faults: ((host: string) => Promise<() => Promise<void>>)[] = [
          async (host) => {
            lab.host(host).signal("agent", "SIGKILL");
            await lab.host(host).stop("agent", "SIGKILL");
            return () => lab.host(host).startAgent();
          },
          (host) => {
            lab.host(host).signal("agent", "SIGSTOP");
            return Promise.resolve(() =>
              Promise.resolve(lab.host(host).signal("agent", "SIGCONT"))
            );
          },
          async (host) => {
            await lab.host(host).link("down");
            return () => lab.host(host).link("up");
          },
          async (host) => {
            const rule = (
              op: string,
            ) => ["iptables", op, "INPUT", "-p", "tcp", "--dport", "2377", "-j", "DROP"];
            await lab.host(host).exec(rule("-I"));
            return async () => {
              await lab.host(host).exec(rule("-D"));
            };
          },
        ];
        try {
          for (const fault of faults) {
            const before = clients.acknowledged;
            let victim: string | undefined;
            await until(
              "a leader",
              async () =>
                (victim = await leader(lab, "h1") ?? await leader(lab, "h2")) !== undefined,
            );
            const heal = await fault(victim!);
            await until("writes go on", () => clients.acknowledged >= before + 30, 30_000);
            await heal();
            await until(
              "all back",
              async () => (await lab.try("h1", "info")).stdout.includes("3 managers, 3 reachable"),
              30_000,
            );
          }
        } finally {
          await clients.stop();
        }
        const verdict = checkHistory(clients.history);
        assert.equal(verdict.kind, "linearizable", JSON.stringify(verdict).slice(0, 2_000));
        assert.ok(clients.history.length > 100, `only ${clients.history.length} operations`);
      },
    );

    await t.step(
      "without a quorum reads answer and say that they may be old, writes fail and name who is gone",
      async () => {
        await lab.host("h2").stop("agent", "SIGKILL");
        await lab.host("h3").stop("agent", "SIGKILL");
        // A leader that is just losing the lead says that instead, once.
        await until("writes are refused with the reason", async () => {
          const refused = await write(lab, "h1", "lost");
          assert.notEqual(refused.code, 0);
          return /quorum is lost .*h2 .*h3|quorum is lost .*h3 .*h2/.test(refused.stderr);
        }, 10_000);
        assert.match(await lab.fleet("h1", "service", "ls"), /via-h1 /);
        assert.match(await lab.fleet("h1", "info"), /quorum is lost/);
        for (const host of ["h2", "h3"]) await lab.host(host).startAgent();
        await until(
          "writes are back",
          async () =>
            (await write(lab, "h1", `back-${performance.now()}`.replace(".", "-"))).code === 0,
        );
      },
    );

    await t.step(
      "roles: demotion and promotion without a restart, refusals with a reason",
      async () => {
        await until(
          "three managers",
          async () => /3 managers, 3 reachable/.test((await lab.try("h1", "info")).stdout),
        );
        const third = (await leader(lab, "h1")) === "h3" ? "h2" : "h3";
        await lab.fleet("h1", "node", "demote", third);
        await until("two managers", async () =>
          /^2 managers, 2 reachable.*even/m.test(
            (await lab.try(third === "h3" ? "h1" : "h1", "info")).stdout,
          ), 20_000);
        await until(
          "a worker",
          async () => /Worker nodes/.test((await lab.try(third, "service", "ls")).stderr),
          20_000,
        );
        await lab.fleet("h1", "node", "promote", third);
        await until(
          "three managers again",
          async () => /3 managers, 3 reachable/.test((await lab.try("h1", "info")).stdout),
          20_000,
        );
        await until(
          "it serves",
          async () => (await lab.try(third, "service", "ls")).code === 0,
          20_000,
        );
        const rm = await lab.try("h1", "node", "rm", "--force", third);
        assert.match(rm.stderr, /demoted to worker before removal/);
      },
    );

    await t.step(
      "one manager that is left makes a new cluster with all that was in the old one",
      async () => {
        await lab.fleet(
          "h1",
          "service",
          "create",
          "-d",
          "-q",
          "--no-resolve-image",
          "--name",
          "kept",
          "--replicas",
          "1",
          "--constraint",
          "node.hostname==h1",
          "busybox:latest",
          "sleep",
          "100000",
        );
        await until("kept runs", async () => (await lab.running("kept")).length === 1);
        const before = await lab.containers("kept");
        const token = await lab.fleet("h1", "join-token", "-q", "worker");
        for (const host of ["h2", "h3"]) await lab.host(host).stop("agent", "SIGKILL");
        await until(
          "quorum is lost",
          async () => /quorum is lost/.test((await lab.try("h1", "info")).stdout),
          20_000,
        );
        await lab.fleet("h1", "init", "--force-new-cluster");
        await until(
          "writes are back",
          async () => (await write(lab, "h1", "after-loss")).code === 0,
          20_000,
        );
        assert.match(await lab.fleet("h1", "info"), /1 manager, 1 reachable/);
        assert.equal(await lab.fleet("h1", "join-token", "-q", "worker"), token);
        assert.match(await lab.fleet("h1", "service", "ls"), /kept .*1\/1/);
        assert.deepEqual(await lab.containers("kept"), before);
      },
    );
  });
});
