/** Backup, restore on the same and on another machine, and what to do when a majority is lost. */
import assert from "node:assert/strict";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const SECRET = "the-known-secret-value-9182";
const PASSPHRASE = "an old passphrase";

async function wipe(lab: FleetLab, host: string): Promise<void> {
  await lab.host(host).stop("agent", "SIGKILL");
  await Deno.remove(lab.host(host).layout.dataDir, { recursive: true });
}

Deno.test("backup, restore and recovery", async (t) => {
  await withFleetLab("recovery", 3, async (lab) => {
    const h3 = lab.lab.host("h3");
    const folder = await Deno.makeTempDir({ prefix: "fleet-backup-" });
    const file = `${folder}/cluster.backup`;
    const words = `${folder}/passphrase`;
    await Deno.writeTextFile(words, `${PASSPHRASE}\n`);
    const own = ["--passphrase-file", words];
    try {
      await lab.form({ managers: 1 });
      await Deno.writeTextFile(`${folder}/secret`, SECRET);
      await lab.fleet("h1", "secret", "create", "s1", `${folder}/secret`);
      const create = ["service", "create", "-q", "-d", "--no-resolve-image", "--replicas", "2"];
      const constraint = ["--constraint", "node.role==worker"];
      await lab.fleet(
        "h1",
        ...[...create, ...constraint, "--name", "web", "busybox", "sleep", "9999"],
      );
      await lab.converged("web", 2);
      const before = (await lab.containers("web")).map(({ id }) => id).sort();

      await t.step(
        "a backup is written while the cluster runs, sealed, and read back",
        async () => {
          const said = await lab.fleet("h1", "backup", ...own, file);
          assert.match(said, /Services:\s+1, with 2 tasks/);
          assert.match(said, /read back/);
          const { mode } = await Deno.stat(file);
          assert.equal(mode! & 0o777, 0o600);
          const bytes = new TextDecoder("latin1").decode(await Deno.readFile(file));
          for (const word of [SECRET, btoa(SECRET).slice(0, 20), "PRIVATE KEY", "web"]) {
            assert(!bytes.includes(word), `${word} is in the backup`);
          }
          assert.match(await lab.fleet("h1", "backup", "--inspect", ...own, file), /Secrets:\s+1/);
          const worker = await lab.try("h2", "backup", ...own, `${folder}/none`);
          assert.match(worker.stderr, /not a swarm manager/);
          const noWord = await lab.try("h1", "backup", `${folder}/none`);
          assert.equal(noWord.code, 2);
          assert.match(noWord.stderr, /--passphrase-file/);
        },
      );

      await t.step("a wrong passphrase and a running cluster are refused", async () => {
        await Deno.writeTextFile(`${folder}/wrong`, "another passphrase\n");
        const wrong = ["--passphrase-file", `${folder}/wrong`];
        const opened = await lab.try("h1", "restore", "--dry-run", ...wrong, file);
        assert.match(opened.stderr, /does not open/);
        const twice = await lab.try("h1", "restore", "--yes", ...own, file);
        assert.match(twice.stderr, /already part of a swarm/);
        const unasked = await lab.try("h1", "restore", ...own, file);
        assert.equal(unasked.code, 2);
        assert.match(unasked.stderr, /give --yes/);
      });

      await t.step("on the same address the workers come back with their containers", async () => {
        await wipe(lab, "h1");
        await lab.host("h1").startAgent();
        assert.match(await lab.fleet("h1", "restore", "--dry-run", ...own, file), /Nothing was/);
        const recover = await lab.try("h1", "recover", "--dry-run");
        assert.equal(recover.code, 1);
        assert.match(recover.stdout, /in no cluster[^]*fleet restore FILE/);
        const said = await lab.fleet("h1", "restore", "--yes", ...own, file);
        assert.match(said, /the cluster's only manager/);
        await until("all nodes ready", async () => {
          const { stdout } = await lab.try("h1", "node", "ls", "--format", "{{.Status}}");
          return stdout.trim() === "Ready\nReady\nReady";
        });
        await lab.converged("web", 2);
        assert.deepEqual((await lab.containers("web")).map(({ id }) => id).sort(), before);
        await lab.fleet("h1", "service", "scale", "-d", "web=3");
        await lab.converged("web", 3);
      });

      await t.step(
        "on another machine: it takes the cluster over, and others join again",
        async () => {
          await wipe(lab, "h1");
          await lab.fleet("h3", "leave", "--force");
          await lab.fleet("h3", "restore", "--yes", ...own, file);
          const info = await lab.fleet("h3", "info");
          assert.match(info, new RegExp(`Node address:\\s+${h3.address}|${h3.address}`));
          assert.match(await lab.fleet("h3", "secret", "ls"), /s1/);
          await lab.fleet("h2", "leave", "--force");
          const token = (await lab.fleet("h3", "join-token", "-q", "manager")).trim();
          await lab.fleet("h2", "join", "--token", token, `${h3.address}:2377`);
          await lab.host("h1").startAgent();
          await lab.fleet("h1", "join", "--token", token, `${h3.address}:2377`);
          await until(
            "three managers",
            async () => (await lab.fleet("h3", "info")).includes("3 managers, 3 reachable"),
          );
        },
      );

      await t.step("recover: nothing to do, then a majority is lost, then alone", async () => {
        assert.match(await lab.fleet("h1", "recover"), /nothing to recover/);
        await lab.host("h2").stop("agent", "SIGKILL");
        await lab.host("h3").stop("agent", "SIGKILL");
        await until(
          "the loss is seen",
          async () =>
            (await lab.try("h1", "recover", "--dry-run")).stdout.includes("quorum is lost"),
        );
        const plan = await lab.fleet("h1", "recover", "--dry-run");
        assert.match(plan, /2 of 3 make a majority[^]*Nothing was changed/);
        // A backup of what is left can be made first.
        await lab.fleet("h1", "backup", ...own, `${folder}/last`);
        const said = await lab.fleet("h1", "recover", "--yes");
        assert.match(said, /Done\. 1 manager, 1 reachable/);
        assert.match(await lab.fleet("h1", "secret", "ls"), /s1/);
        assert.match(await lab.fleet("h1", "service", "ls"), /web/);
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
