/** Stacks on a real engine: fleet's own commands beside the stock client's, on the same files. */
import assert from "node:assert/strict";
import { withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";
import { until } from "../support/until.ts";

const FILE = `services:
  web:
    image: busybox:latest
    command: sh -c "cat /etc/site.conf; sleep 100000"
    stop_grace_period: 1s
    environment: {COLOR: "\${COLOR:-blue}"}
    configs: [{source: site, target: /etc/site.conf, mode: 0440, uid: "5", gid: "6"}]
    secrets: [pw]
    networks: [back]
    deploy:
      replicas: 2
      update_config: {parallelism: 0, order: start-first, monitor: 1s, failure_action: rollback}
  db:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_grace_period: 1s
    networks: [back]
    deploy: {update_config: {monitor: 1s}}
networks: {back: }
configs: {site: {file: site.conf}}
secrets: {pw: {file: pw.txt}}
`;

interface Spec {
  readonly Spec: { readonly Name: string; readonly TaskTemplate: unknown };
}

Deno.test("stacks", async (t) => {
  await withFleetLab("stack", 1, async (lab) => {
    await lab.form();
    const folder = await Deno.makeTempDir();
    const write = (name: string, text: string) => Deno.writeTextFile(`${folder}/${name}`, text);
    const deploy = (...args: string[]) =>
      lab.try(
        "h1",
        "stack",
        "deploy",
        "--resolve-image",
        "never",
        "-c",
        `${folder}/a.yml`,
        ...args,
      );
    const diff = async (...args: string[]) =>
      (await lab.fleet(
        "h1",
        "stack",
        "diff",
        "--resolve-image",
        "never",
        ...args,
        "-c",
        `${folder}/a.yml`,
        "shop",
      ))
        .trim().split("\n");
    try {
      await write("a.yml", FILE);
      await write("site.conf", "first\n");
      await write("pw.txt", "s3cret");

      await t.step(
        "deploy waits until the services run; both clients see the same stack",
        async () => {
          const { code, stdout, stderr } = await deploy("shop");
          assert.equal(code, 0, stderr);
          assert.match(
            stdout,
            /^Creating network shop_back\nCreating secret shop_pw\nCreating config shop_site\n/,
          );
          assert.match(stdout, /shop_web: converged[^]*Stack shop converged\n$/);
          assert.equal((await lab.running("shop_web")).length, 2);
          assert.match(await lab.docker("h1", "stack", "ls"), /^shop\s+2\b/m);
          assert.equal(
            await lab.docker(
              "h1",
              "stack",
              "services",
              "--format",
              "{{.Name}} {{.Replicas}}",
              "shop",
            ),
            await lab.fleet(
              "h1",
              "stack",
              "services",
              "--format",
              "{{.Name}} {{.Replicas}}",
              "shop",
            ),
          );
          const names = ["stack", "ps", "--format", "{{.Name}} {{.Node}}", "shop"] as const;
          const sorted = (text: string) => text.trim().split("\n").sort();
          assert.deepEqual(
            sorted(await lab.docker("h1", ...names)),
            sorted(await lab.fleet("h1", ...names)),
          );
        },
      );

      await t.step("the same files again, by either client, replace nothing", async () => {
        assert.deepEqual(await diff(), [
          "service shop_db: no change",
          "service shop_web: no change",
        ]);
        const before = await ids(lab);
        assert.equal((await deploy("shop")).code, 0);
        await lab.docker(
          "h1",
          ...["stack", "deploy", "--detach=true", "--resolve-image", "never"],
          "-c",
          `${folder}/a.yml`,
          "shop",
        );
        assert.equal((await deploy("shop")).code, 0);
        assert.deepEqual(await ids(lab), before);
      });

      await t.step("the stock client's services and fleet's have the same spec", async () => {
        await lab.docker(
          "h1",
          ...["stack", "deploy", "--detach=true", "--resolve-image", "never"],
          "-c",
          `${folder}/a.yml`,
          "theirs",
        );
        const specs = async (stack: string) => {
          const text = await lab.docker("h1", "service", "inspect", `${stack}_web`, `${stack}_db`);
          const services = JSON.parse(
            text.replaceAll(/"[a-z0-9]{25}"/g, '"ID"')
              .replaceAll(`${stack}_`, "").replaceAll(`"${stack}"`, '"STACK"'),
          ) as Spec[];
          return services.map(({ Spec }) => Spec);
        };
        assert.deepEqual(await specs("theirs"), await specs("shop"));
        assert.equal((await lab.try("h1", "stack", "rm", "theirs")).code, 0);
      });

      await t.step("what export prints is the stack that runs", async () => {
        await write("b.yml", await lab.fleet("h1", "stack", "export", "shop"));
        const lines = await lab.fleet(
          "h1",
          ...["stack", "diff", "--resolve-image", "never", "-c", `${folder}/b.yml`, "shop"],
        );
        assert.equal(lines, "service shop_db: no change\nservice shop_web: no change\n");
      });

      await t.step(
        "a changed config is a new version, and the old one goes with its last task",
        async () => {
          await write("site.conf", "second\n");
          assert.deepEqual(await diff(), [
            "config shop_site: gets a new version",
            "service shop_db: no change",
            "service shop_web: replaces 2 tasks because of config shop_site",
            "    config shop_site: new content",
          ]);
          const { code, stderr } = await deploy("shop");
          assert.equal(code, 0, stderr);
          // The last of the old ones has its second to stop.
          await lab.converged("shop_web", 2);
          const [container] = await lab.containers("shop_web");
          const seen = await lab.docker(
            "h1",
            ...["exec", container!.id, "sh", "-c"],
            "cat /etc/site.conf; stat -c '%u %g %a' /etc/site.conf",
          );
          assert.equal(seen, "second\n5 6 440\n");
          // The previous spec still names the first version: a roll-back needs it.
          assert.match(await lab.fleet("h1", "config", "ls"), /shop_site\.v1/);
          await write("site.conf", "third\n");
          assert.equal((await deploy("shop")).code, 0);
        },
      );

      await t.step(
        "a deployment that cannot work rolls back, and says what the task said",
        async () => {
          await write(
            "a.yml",
            FILE.replace("cat /etc/site.conf; sleep 100000", "echo no good; exit 3"),
          );
          const { code, stderr } = await deploy("shop");
          assert.equal(code, 3, stderr);
          assert.match(stderr, /shop_web: rolled back: /);
          assert.match(stderr, /\| no good/);
          await lab.converged("shop_web", 2);
          // It is kept for some seconds after its last use, which this roll-back has covered.
          await until("the first version is gone", async () => {
            const list = await lab.fleet("h1", "config", "ls", "--format", "{{.Name}}");
            return !/\.v1$/m.test(list);
          });
        },
      );

      await t.step("--prune removes what is not in the file; rm leaves nothing", async () => {
        await write("a.yml", FILE.replace(/ {2}db:[^]*?(?=networks: {back)/, ""));
        assert.match((await diff("--prune")).join("\n"), /service shop_db: is removed/);
        const { code, stdout, stderr } = await deploy("--prune", "shop");
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^Removing service shop_db$/m);
        assert.equal((await lab.try("h1", "stack", "rm", "shop")).code, 0);
        for (const noun of ["service", "secret", "config"]) {
          assert.equal(await lab.fleet("h1", noun, "ls", "--quiet"), "", noun);
        }
        await until(
          "its networks are gone",
          async () => !/shop/.test(await lab.docker("h1", "network", "ls")),
        );
      });

      await t.step("a service waits for the ones that it depends on, and says so", async () => {
        await write(
          "a.yml",
          `services:
  app:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_grace_period: 1s
    depends_on:
      db: {condition: service_healthy}
      prepare: {condition: service_completed_successfully}
    deploy: {update_config: {monitor: 1s}}
  db:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_grace_period: 1s
    healthcheck: {test: [CMD, test, -e, /ready], interval: 500ms, retries: 600}
    deploy: {update_config: {monitor: 1s}}
  prepare:
    image: busybox:latest
    command: ["true"]
    deploy: {mode: replicated-job}
`,
        );
        assert.equal((await deploy("--detach", "shop")).code, 0);
        await until("the reason is told", async () =>
          /waiting for shop_db \(starting\)/.test(
            await lab.docker("h1", "service", "ps", "--no-trunc", "shop_app"),
          ));
        await until(
          "the job is done",
          async () =>
            (await lab.tasks("shop_prepare")).some(({ Status }) => Status.State === "complete"),
        );
        const [task] = await lab.tasks("shop_app");
        assert.equal(task!.Status.State, "pending");
        await until(
          "the database runs",
          async () => (await lab.containers("shop_db")).length === 1,
        );
        const [db] = await lab.containers("shop_db");
        await lab.docker("h1", "exec", db!.id, "touch", "/ready");
        const { code, stderr } = await deploy("shop");
        assert.equal(code, 0, stderr);
        assert.equal((await lab.running("shop_app")).length, 1);
        await lab.fleet("h1", "stack", "rm", "shop");
      });

      await t.step("templates are expanded, and mistakes in them are told at once", async () => {
        await write(
          "a.yml",
          `services:
  web:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_grace_period: 1s
    hostname: "{{.Service.Name}}-{{.Task.Slot}}"
    environment: {WHERE: "{{.Node.Hostname}}"}
    configs: [{source: page, target: /page}]
    secrets: [{source: pw, target: word}]
    deploy: {update_config: {monitor: 1s}}
configs:
  page:
    template_driver: golang
    content: '{{.Service.Name}} {{ env "WHERE" }} {{ secret "word" }}'
secrets: {pw: {file: pw.txt}}
`,
        );
        const { code, stderr } = await deploy("shop");
        assert.equal(code, 0, stderr);
        const look = async () => {
          const [container] = await lab.containers("shop_web");
          return await lab.docker(
            "h1",
            ...["exec", container!.id, "sh", "-c"],
            "hostname; echo $WHERE; cat /page",
          );
        };
        assert.equal(await look(), "shop_web-1\nh1\nshop_web h1 s3cret");
        const bad = await lab.try(
          "h1",
          ...["service", "create", "--hostname", "{{.Nope}}"],
          "busybox",
        );
        assert.equal(bad.code, 1);
        assert.match(bad.stderr, /expanding the template "{{.Nope}}": /);

        const update = await lab.try("h1", "secret", "update", "shop_pw", `${folder}/site.conf`);
        assert.equal(update.code, 0, update.stderr);
        assert.match(update.stdout, /^Updating service shop_web$/m);
        await until("the new version is there", async () => /third/.test(await look()));
        assert.match(await lab.fleet("h1", "secret", "ls"), /shop_pw .*shop_web\n/);
        const used = await lab.try("h1", "secret", "rm", "shop_pw");
        assert.match(used.stderr, /in use by the following service: shop_web/);
        await lab.fleet("h1", "stack", "rm", "shop");
      });

      await t.step("the stock client removes a stack that has old versions, too", async () => {
        await write("a.yml", FILE.replace(/ {2}db:[^]*?(?=networks: {back)/, ""));
        for (const text of ["first\n", "second\n"]) {
          await write("site.conf", text);
          const { code, stderr } = await deploy("--detach", "shop");
          assert.equal(code, 0, stderr);
        }
        // It lists everything, removes the services and then, one by one, what it had seen.
        const said = await lab.docker("h1", "stack", "rm", "shop");
        assert.match(said, /^Removing config shop_site\.v1$/m);
        assert.equal(await lab.fleet("h1", "config", "ls", "--quiet"), "");
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});

async function ids(lab: FleetLab): Promise<string[]> {
  const tasks = [...await lab.running("shop_web"), ...await lab.running("shop_db")];
  return tasks.map((task) => task.ID).sort();
}
