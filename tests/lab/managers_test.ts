import assert from "node:assert/strict";
import { dataKey, stateFiles } from "../../src/adapters/host/data_directory.ts";
import { RaftLogStore } from "../../src/adapters/sqlite/raft_log_store.ts";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

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

/** Through the HTTP API, one after the other. */
async function createConfigs(lab: FleetLab, host: string, count: number): Promise<void> {
  const client = Deno.createHttpClient({
    proxy: { transport: "unix", path: lab.host(host).layout.fleetSocket },
  });
  try {
    for (let i = 0; i < count; i++) {
      const response = await fetch("http://fleet/configs/create", {
        method: "POST",
        client,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ Name: `config${i}`, Data: "eA==" }),
      } as RequestInit);
      assert.equal(response.status, 201, await response.text());
    }
  } finally {
    client.close();
  }
}

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
      "snapshots come as often as asked, and slow followers find 500 entries",
      async () => {
        const periods = ["--heartbeat-tick", "2", "--election-tick", "20"];
        await lab.fleet("h1", "update", "--snapshot-interval", "100", ...periods);
        assert.match(await lab.fleet("h2", "info"), /Heartbeat Tick:\s2\n\s*Election Tick:\s20/);
        const { stderr } = await lab.try("h1", "update", "--election-tick", "4");
        assert.match(stderr, /--election-tick 4 goes not with --heartbeat-tick 2/);
        await lab.fleet("h1", "update", "--heartbeat-tick", "1", "--election-tick", "10");
        await createConfigs(lab, "h1", 800);
        const follower = (await leader(lab, "h1")) === "h3" ? "h2" : "h3";
        // Its own answer: it has them all.
        assert.match(await lab.fleet(follower, "config", "ls"), /config799/);
        const { dataDir } = lab.host(follower).layout;
        const look = async () => {
          await lab.host(follower).stop("agent");
          const key = dataKey(stateFiles(dataDir), { mayCreate: false });
          const log = RaftLogStore.open(`${dataDir}/raft.db`, key);
          const found = {
            snapshot: log.snapshot()!.meta.index,
            first: log.firstIndex(),
            last: log.lastIndex(),
          };
          log.close();
          await lab.host(follower).startAgent();
          return found;
        };
        const { snapshot, first, last } = await look();
        assert.ok(last > 800, `only ${last} entries`);
        assert.ok(last - snapshot < 200, `snapshot at ${snapshot} of ${last}`);
        assert.equal(snapshot - first, 500);
        await until(
          "three managers",
          async () => /3 managers, 3 reachable/.test((await lab.try("h1", "info")).stdout),
        );
      },
    );

    await t.step("what would lose the quorum is refused with the reason", async () => {
      await lab.host("h3").stop("agent", "SIGKILL");
      // The leader alone hears from all of them; the others ask it.
      for (const host of ["h1", "h2"]) {
        await until(
          `one is missed by ${host}`,
          async () => /3 managers, 2 reachable/.test((await lab.try(host, "info")).stdout),
        );
        const list = await lab.fleet(host, "node", "ls", "--format", "{{.ManagerStatus}}");
        assert.equal(list.split("\n").filter((state) => state === "Unreachable").length, 1, list);
      }
      const refused = async (pattern: RegExp, ...args: string[]) => {
        const { code, stderr } = await lab.try("h1", ...args);
        assert.notEqual(code, 0);
        assert.match(stderr, pattern);
      };
      const reason =
        /would lose the quorum: of the 2 managers left only 1 can be reached and 2 are needed; bring back .*h3/;
      await refused(reason, "node", "demote", "h2");
      await refused(reason, "node", "update", "--role", "worker", "h2");
      await refused(/2 managers of which only 1 can be reached: quorum would be lost/, "leave");
      await refused(/must be demoted to worker before removal/, "node", "rm", "h2");
      await lab.host("h3").startAgent();
      await until(
        "three managers",
        async () => /3 managers, 3 reachable/.test((await lab.try("h1", "info")).stdout),
      );
    });

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
        });
        const list = await lab.try("h1", "service", "ls");
        assert.match(list.stdout, /via-h1 /);
        assert.match(list.stderr, /no majority of the managers answers: .* may be out of date/);
        assert.match(await lab.fleet("h1", "info"), /quorum is lost/);
        const at = performance.now();
        assert.notEqual((await write(lab, "h1", "lost-too")).code, 0);
        assert.ok(
          performance.now() - at < 30_000,
          "a write without a quorum took too long to fail",
        );
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
            (await lab.try("h1", "info")).stdout,
          ));
        await until(
          "a worker",
          async () => /Worker nodes/.test((await lab.try(third, "service", "ls")).stderr),
        );
        await lab.fleet("h1", "node", "promote", third);
        await until(
          "three managers again",
          async () => /3 managers, 3 reachable/.test((await lab.try("h1", "info")).stdout),
        );
        await until(
          "it serves",
          async () => (await lab.try(third, "service", "ls")).code === 0,
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
        );
        await lab.fleet("h1", "init", "--force-new-cluster", "--yes");
        await until(
          "writes are back",
          async () => (await write(lab, "h1", "after-loss")).code === 0,
        );
        assert.match(await lab.fleet("h1", "info"), /1 manager, 1 reachable/);
        assert.equal(await lab.fleet("h1", "join-token", "-q", "worker"), token);
        assert.match(await lab.fleet("h1", "service", "ls"), /kept .*1\/1/);
        assert.deepEqual(await lab.containers("kept"), before);
      },
    );
  });
});
