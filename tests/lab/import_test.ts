/** Moving from a real Docker Swarm: the engine of the second host is one, fleet's cluster is the first. */
import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const STACK = `services:
  web:
    image: busybox:latest
    command: sh -c "cat /etc/site.conf; sleep 100000"
    stop_grace_period: 1s
    environment: [COLOR=blue]
    configs: [{source: site, target: /etc/site.conf}]
    networks: [back]
    deploy: {replicas: 2, labels: {tier: front}}
  safe:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_grace_period: 1s
    secrets: [pw]
    networks: [back]
networks: {back: {attachable: true, labels: {n: l}}}
configs: {site: {file: ./site.conf}}
secrets: {pw: {file: ./pw.txt}}
`;

interface Found {
  readonly Spec: {
    readonly Name: string;
    readonly Labels: unknown;
    readonly TaskTemplate: unknown;
  };
}

Deno.test("import from a Docker Swarm", async (t) => {
  await withFleetLab("import", 2, async (lab) => {
    const [ours, theirs] = [lab.host("h1"), lab.host("h2")];
    await lab.fleet("h1", "init", "--advertise-addr", ours.address);
    const swarm = async (...args: string[]) => {
      const { code, stdout, stderr } = await theirs.docker(args);
      assert.equal(code, 0, `docker ${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    const runs = (service: string, count: number) =>
      until(
        `${service} runs`,
        async () => (await lab.running(service)).length === count,
      );
    const container = async (service: string) => {
      const found = (await lab.containers(service)).find(({ host }) => host === "h1");
      assert.ok(found, `no container of ${service}`);
      return found;
    };
    const folder = await Deno.makeTempDir();
    const from = ["--from", `unix://${theirs.layout.engineSocket}`];
    const imported = (...flags: string[]) => lab.try("h1", "import", "swarm", ...from, ...flags);
    try {
      await Deno.writeTextFile(`${folder}/a.yml`, STACK);
      await Deno.writeTextFile(`${folder}/site.conf`, "hello\n");
      await Deno.writeTextFile(`${folder}/pw.txt`, "s3cret");
      const early = await imported();
      assert.equal(early.code, 1);
      assert.match(early.stderr, /is no manager of a Swarm/);
      const nobody = await lab.try("h1", "import", "swarm", "--from", "unix:///run/no-engine.sock");
      assert.equal(nobody.code, 1);
      assert.match(nobody.stderr, /no Docker Engine answers at unix:\/\/\/run\/no-engine\.sock/);
      await swarm("swarm", "init", "--advertise-addr", theirs.address);
      await swarm("stack", "deploy", "--resolve-image", "never", "-c", `${folder}/a.yml`, "shop");
      await swarm("node", "update", "--label-add", "zone=b", "h2");
      const before = await swarm("service", "inspect", "shop_web", "shop_safe");

      await t.step("a plan first, and nothing is done", async () => {
        const { code, stdout, stderr } = await imported("--dry-run");
        assert.equal(code, 0, stderr);
        assert.deepEqual(stdout.trim().split("\n"), [
          "create network shop_back",
          "create config shop_site",
          "create service shop_web",
          "stack shop: 1 service of the above",
          "secret shop_pw must be made by hand, no Swarm tells its data: shop_safe wait for it",
          "left out: labels zone=b of node h2: no such node has joined yet",
        ]);
        assert.equal(await lab.fleet("h1", "service", "ls", "--quiet"), "");
      });

      await t.step(
        "networks, configs and services come; what waits for a secret comes later",
        async () => {
          const { code, stderr } = await imported();
          assert.equal(code, 0, stderr);
          // The Swarm's own containers have the same labels: only tasks and this host's containers count.
          await runs("shop_web", 2);
          await Deno.mkdir(`${folder}/secrets`);
          await Deno.writeTextFile(`${folder}/secrets/shop_pw`, "s3cret");
          const again = await imported("--secret-dir", `${folder}/secrets`);
          assert.equal(again.code, 0, again.stderr);
          assert.match(again.stdout, /service shop_web is there already/);
          await runs("shop_safe", 1);
          const web = await container("shop_web");
          assert.equal(await lab.docker("h1", "exec", web.id, "cat", "/etc/site.conf"), "hello\n");
          const safe = await container("shop_safe");
          assert.equal(
            await lab.docker(
              "h1",
              "exec",
              safe.id,
              "cat",
              "/run/secrets/shop_pw".replace("shop_", ""),
            ),
            "s3cret",
          );
        },
      );

      await t.step("the services are the same, and one stack", async () => {
        const specs = (text: string) =>
          (JSON.parse(text.replaceAll(/"[a-z0-9]{25}"/g, '"ID"')) as Found[]).map(({ Spec }) =>
            Spec
          );
        assert.deepEqual(
          specs(await lab.docker("h1", "service", "inspect", "shop_web", "shop_safe")),
          specs(before),
        );
        assert.match(await lab.fleet("h1", "stack", "ls"), /^shop\s+2$/m);
        // The file that made it there changes nothing here.
        const diff = await lab.fleet(
          "h1",
          "stack",
          "diff",
          "--resolve-image",
          "never",
          "-c",
          `${folder}/a.yml`,
          "shop",
        );
        assert.equal(diff, "service shop_safe: no change\nservice shop_web: no change\n");
      });

      await t.step("the Swarm was only read", async () => {
        assert.equal(await swarm("service", "inspect", "shop_web", "shop_safe"), before);
        await until(
          "their tasks still run",
          async () =>
            /shop_web 2\/2/.test(
              await swarm("service", "ls", "--format", "{{.Name}} {{.Replicas}}"),
            ),
        );
      });
    } finally {
      await theirs.docker(["swarm", "leave", "--force"]);
      await Deno.remove(folder, { recursive: true });
    }
  });
});
