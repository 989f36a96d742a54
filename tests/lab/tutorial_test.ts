/** The tutorial's case on two real hosts: a database on one, the application that uses it on the other. */
import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import { loadPostgresImage, POSTGRES_IMAGE } from "./support/postgres_image.ts";
import { until } from "../support/until.ts";

Deno.test("an application and its PostgreSQL on an overlay network", async (t) => {
  await withFleetLab("tutorial", 2, async (lab) => {
    await lab.form();
    await loadPostgresImage(lab.lab.hosts);
    const create = ["service", "create", "--detach", "--no-resolve-image", "--user", "postgres"];
    let said = "";
    const visit = async (host: string) => {
      const { stdout, stderr } = await lab.host("h1").exec([
        // A request that has failed is none that was counted.
        ...[
          "curl",
          "-sS",
          "-m",
          "30",
          "--retry",
          "20",
          "--retry-delay",
          "1",
          "--retry-connrefused",
        ],
        `http://${lab.host(host).address}/cgi-bin/visits`,
      ]);
      said = stdout + stderr;
      const [, count] = /^(\d+) visits on PostgreSQL/m.exec(stdout) ?? [];
      return count === undefined ? undefined : Number(count);
    };
    const visited = async (host: string) => {
      const count = await visit(host);
      assert(count !== undefined, said);
      return count;
    };

    await t.step("it works by the service's name, at port 80 of every node", async () => {
      await lab.docker("h1", "network", "create", "-d", "overlay", "mydrupal");
      await lab.docker(
        ...["h1", ...create, "--name", "psql", "--network", "mydrupal"] as const,
        ...["--constraint", "node.hostname==h1", POSTGRES_IMAGE, "/bin/serve-database"],
      );
      await lab.docker(
        ...["h1", ...create, "--name", "drupal", "--network", "mydrupal", "-p", "80:80"] as const,
        ...["--constraint", "node.hostname==h2", "--env", "DATABASE_HOST=psql", POSTGRES_IMAGE],
        ...["/bin/httpd", "-f", "-p", "80", "-h", "/www"],
      );
      await lab.converged("psql", 1);
      await lab.converged("drupal", 1);
      await until("the first visit", async () => await visit("h1") !== undefined, 60_000, 200)
        .catch((error) => assert.fail(`${error}: ${said}`));
      await until("h2 answers as well", async () => await visit("h2") !== undefined);
      const before = await visited("h1");
      assert.equal(await visited("h2"), before + 1);
      assert.equal(await visited("h1"), before + 2);
    });

    await t.step("more of the application, on any node, share the database", async () => {
      await lab.docker(
        ...["h1", "service", "update", "--detach", "--constraint-rm", "node.hostname==h2"] as const,
        ...["--replicas", "4", "drupal"],
      );
      await lab.converged("drupal", 4);
      const before = await visited("h2");
      for (let i = 1; i <= 8; i++) {
        assert.equal(await visited(i % 2 === 0 ? "h1" : "h2"), before + i);
      }
    });

    await t.step(
      "after the database was killed its successor is found under the same name",
      async () => {
        const [victim] = await lab.containers("psql");
        const before = await visited("h2");
        await lab.host("h1").docker(["kill", victim!.id]);
        await until("an empty database", async () => (await visit("h2") ?? before) < before);
      },
    );

    await t.step("a node that leaves keeps nothing of the networks", async () => {
      await lab.fleet("h2", "leave");
      const left = ["sh", "-c", "ls /sys/class/net | grep ^fl; nft list tables | grep fleet"];
      const engine = ["network", "ls", "-q", "--filter", "label=io.fleet.network"];
      await until(
        "h2 has nothing of them",
        async () =>
          (await lab.host("h2").exec(left)).stdout === "" &&
          (await lab.host("h2").docker(engine)).stdout === "",
      );
      await lab.converged("drupal", 4);
    });
  });
});
