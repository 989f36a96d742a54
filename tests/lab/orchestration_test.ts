import assert from "node:assert/strict";
import { type FleetLab, withFleetLab } from "../support/fleet_lab.ts";
import { LabRegistry, REGISTRY_SETTINGS } from "./support/registry.ts";
import { until } from "../support/until.ts";

const SLEEP = ["busybox:latest", "sleep", "100000"];
const QUICK = ["--stop-grace-period", "0s", "--restart-delay", "500ms"];

/** The stock client with the registry's login. */
const withLogin = (lab: FleetLab, registry: LabRegistry, ...args: string[]) =>
  lab.docker("h1", "--config", registry.login, ...args);

/** What a service's containers were made from, by host. */
async function imagesOf(lab: FleetLab, service: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { host, id } of await lab.containers(service)) {
    const argv = ["inspect", "-f", "{{.Config.Image}} {{.Config.Labels.content}}", id];
    found[host] = (await lab.host(host).docker(argv)).stdout.trim();
  }
  return found;
}

/** The newest sentence about a failure among a service's tasks that matches. */
async function refused(lab: FleetLab, service: string, sentence: RegExp): Promise<void> {
  let last = "";
  await until(`${service}: ${sentence}`, async () => {
    const tasks = await lab.tasks(service);
    last = tasks.map(({ Status }) => Status.Err ?? Status.State).join("; ");
    return tasks.some(({ Status }) => sentence.test(Status.Err ?? ""));
  }).catch(() => {
    throw new Error(`${service}: expected ${sentence}, got: ${last}`);
  });
}

Deno.test("images, placement, moves and jobs on real engines", async (t) => {
  await withFleetLab("orch", 3, async (lab) => {
    await lab.form();
    const registry = await LabRegistry.start(lab.host("h1"));
    const image = `${registry.address}/app:1`;
    const first = await registry.push("app:1", "first");

    await t.step(
      "a tag means the same image for ever, and the login is kept for later",
      async () => {
        const at = ["--constraint", "node.hostname==h2", "--with-registry-auth"];
        const flags = ["service", "create", "-d", "--name", "app", ...QUICK, ...at];
        await withLogin(lab, registry, ...flags, image, "sleep", "100000");
        await lab.converged("app", 1);
        assert.deepEqual(await imagesOf(lab, "app"), { h2: `${image}@${first} first` });
        const second = await registry.push("app:1", "second");
        assert.notEqual(second, first);
        // Without a login: the one that was given at first is what h3 pulls with.
        const move = [
          "--constraint-rm",
          "node.hostname==h2",
          "--constraint-add",
          "node.hostname==h3",
        ];
        await lab.docker("h1", "service", "update", "-d", ...move, "app");
        await until("the move to h3", async () => "h3" in await imagesOf(lab, "app"));
        await lab.converged("app", 1);
        assert.deepEqual(await imagesOf(lab, "app"), { h3: `${image}@${first} first` });
      },
    );

    await t.step("why an image cannot be had is told, and stops nothing that runs", async () => {
      const update = (tag: string, ...flags: string[]) =>
        lab.tryDocker("h1", [
          ...["service", "update", "--detach=false", "-q", "--no-resolve-image"],
          ...["--update-monitor", "1s", ...flags, "--image", tag, "app"],
        ]);
      const before = (await lab.containers("app")).map(({ id }) => id);
      const { code, stderr } = await update(`${registry.address}/app:none`);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /update paused due to failure or early termination of task/);
      await refused(lab, "app", /no such image: .*app:none.* not found/);
      await update(`${lab.host("h1").address}:5999/app:1`, "--detach");
      await refused(lab, "app", /the registry cannot be reached: /);
      const flags = [
        "service",
        "create",
        "-d",
        "--name",
        "nologin",
        "--no-resolve-image",
        ...QUICK,
      ];
      await lab.docker("h1", ...flags, "--constraint", "node.hostname==h2", `${image}x`);
      await refused(lab, "nologin", /the registry refuses the credentials: /);
      assert.deepEqual((await lab.containers("app")).map(({ id }) => id), before);
      await lab.docker("h1", "service", "rm", "nologin", "app");
    });

    await t.step("an old client's image is pinned by the manager", async () => {
      const { auths } = JSON.parse(await Deno.readTextFile(`${registry.login}/config.json`)) as {
        auths: Record<string, { auth: string }>;
      };
      const [username, password] = atob(auths[registry.address]!.auth).split(":");
      const auth = btoa(JSON.stringify({ username, password, serveraddress: registry.address }));
      const create = (name: string, headers: Record<string, string>) =>
        lab.post<{ Warnings?: string[] }>("h1", "/v1.29/services/create", {
          Name: name,
          TaskTemplate: { ContainerSpec: { Image: image } },
          Mode: { Replicated: { Replicas: 0 } },
        }, headers);
      assert.equal((await create("old", { "x-registry-auth": auth })).Warnings, undefined);
      const spec = await lab.docker("h1", "service", "inspect", "-f", "{{json .Spec}}", "old");
      assert.match(spec, /app:1@sha256:[0-9a-f]{64}"/);
      assert.ok(!spec.includes(auth), "the login is shown");
      assert.match((await create("stranger", {})).Warnings![0]!, /could not be accessed/);
      await lab.docker("h1", "service", "rm", "old", "stranger");
    });

    await t.step(
      "a node that is drained says when it is safe to stop, and gets its share back",
      async () => {
        const flags = ["service", "create", "-d", "-q", "--no-resolve-image", ...QUICK];
        const order = ["--update-order", "start-first", "--update-parallelism", "2"];
        await lab.fleet("h1", ...flags, ...order, "--name", "web", "--replicas", "6", ...SLEEP);
        await lab.converged("web", 6);
        const out = await lab.fleet("h1", "node", "drain", "--wait", "--timeout", "5m", "h3");
        assert.match(out, /^h3\n(\d tasks? left: web\.\d .*\n)*h3 is drained: safe to stop\n$/);
        assert.ok(!(await lab.containers("web")).some(({ host }) => host === "h3"));
        await lab.fleet(
          "h1",
          "policy",
          "set",
          "--rebalance",
          "on-join",
          "--moves-per-minute",
          "60",
        );
        await lab.fleet("h1", "node", "update", "--availability", "active", "h3");
        await until(
          "two tasks on h3",
          async () =>
            (await lab.containers("web")).filter(({ host }) => host === "h3").length === 2,
        );
        await lab.converged("web", 6);
        assert.match(
          await lab.fleet("h1", "service", "rebalance", "--dry-run"),
          /^Nothing to move/,
        );
        await lab.fleet("h1", "policy", "set", "--rebalance", "never");
      },
    );

    await t.step("a plan is shown, and carried out on request", async () => {
      await lab.fleet("h1", "node", "drain", "--wait", "h2");
      await lab.fleet("h1", "node", "update", "--availability", "active", "h2");
      const plan = await lab.fleet("h1", "node", "rebalance", "--dry-run", "h2");
      assert.match(
        plan,
        /^TASK +FROM +TO +WHY\nweb\.\d +h[13] +h2 +h[13] runs 3 of its tasks, h2 0\n/,
      );
      assert.match(await lab.fleet("h1", "service", "rebalance", "web"), /\nDone\.\n$/);
      const hosts = (await lab.containers("web")).map(({ host }) => host).sort().join(" ");
      assert.equal(hosts, "h1 h1 h2 h2 h3 h3");
      await lab.fleet("h1", "service", "rm", "web");
    });

    await t.step(
      "a path that only one host has is found, and what has it nowhere says so",
      async () => {
        await lab.host("h3").exec(["mkdir", "-p", "/run/only-here"]);
        const bind = (source: string) => ["--mount", `type=bind,src=${source},dst=/data`];
        const flags = ["service", "create", "-d", "--no-resolve-image", ...QUICK];
        await lab.docker("h1", ...flags, "--name", "data", ...bind("/run/only-here"), ...SLEEP);
        await lab.docker("h1", ...flags, "--name", "lost", ...bind("/run/nowhere"), ...SLEEP);
        await lab.converged("data", 1);
        assert.equal((await lab.containers("data"))[0]!.host, "h3");
        await refused(lab, "lost", /no suitable node \(3 nodes lack the path \/run\/nowhere\)/);
        await lab.docker("h1", "service", "rm", "data", "lost");
      },
    );

    await t.step("privileged containers and devices are for who allowed them", async () => {
      const flags = ["service", "create", "-d", "--no-resolve-image", "--name", "root", ...QUICK];
      const labels = ["fleet.privileged=true", "fleet.devices=/dev/null:/dev/nil:r"]
        .flatMap((label) => ["--container-label", label]);
      const { code, stderr } = await lab.tryDocker("h1", [...flags, ...labels, ...SLEEP]);
      assert.equal(code, 1);
      assert.match(stderr, /privileged containers are not allowed on this cluster/);
      assert.match(
        await lab.fleet("h1", "policy", "set", "--privileged", "--devices"),
        /Privileged containers:\tallowed\nDevices of hosts:\tallowed/,
      );
      // Whether the machine lets a container have all privileges is not the cluster's business: what
      // the engine was asked for is.
      await lab.docker("h1", ...flags, ...labels, ...SLEEP);
      const show = "{{.HostConfig.Privileged}} {{json .HostConfig.Devices}}";
      const wanted = /^true \[\{"PathOnHost":"\/dev\/null","PathInContainer":"\/dev\/nil"/m;
      await until("a privileged container", async () => {
        for (const { name } of lab.lab.hosts) {
          const engine = lab.host(name);
          const { stdout } = await engine.docker(["ps", "-aq", "--filter", "name=root."]);
          const ids = stdout.trim().split("\n").filter(Boolean);
          if (ids.length === 0) continue;
          if (wanted.test((await engine.docker(["inspect", "-f", show, ...ids])).stdout)) {
            return true;
          }
        }
        return false;
      });
      await lab.docker("h1", "service", "rm", "root");
    });

    await t.step("what fits nowhere says why; what is unhealthy is replaced", async () => {
      const flags = ["service", "create", "-d", "--no-resolve-image", ...QUICK];
      const port = ["--publish", "mode=host,published=8088,target=80", "--replicas", "4"];
      await lab.docker("h1", ...flags, "--name", "port", ...port, ...SLEEP);
      await lab.docker("h1", ...flags, "--name", "big", "--reserve-cpu", "1000", ...SLEEP);
      const zone = ["--constraint", "node.labels.zone==a"];
      await lab.docker("h1", ...flags, "--name", "zone", ...zone, ...SLEEP);
      const health = ["--health-cmd", "test -e /tmp/well", "--health-interval", "300ms"];
      const sick = ["--health-retries", "2", "--health-start-period", "0s"];
      const program = ["busybox:latest", "sh", "-c", "touch /tmp/well; sleep 100000"];
      await lab.docker("h1", ...flags, "--name", "sick", ...health, ...sick, ...program);
      await refused(lab, "port", /\(host-mode port 8088\/tcp already in use on 3 nodes\)/);
      await refused(lab, "big", /\(3 nodes have at most \d+ of 1000 CPUs free\)/);
      await refused(lab, "zone", /no suitable node \(3 nodes .*label.* zone=a/);
      await lab.fleet("h1", "node", "update", "--label-add", "zone=a", "h2");
      await lab.converged("zone", 1);
      assert.equal((await lab.containers("zone"))[0]!.host, "h2");
      await lab.converged("sick", 1);
      const [before] = await lab.containers("sick");
      await lab.host(before!.host).docker(["exec", before!.id, "rm", "/tmp/well"]);
      await refused(lab, "sick", /unhealthy container/);
      await lab.converged("sick", 1);
      assert.notEqual((await lab.containers("sick"))[0]!.id, before!.id);
      // The label goes, and with it the right to be there.
      await lab.fleet("h1", "node", "update", "--label-rm", "zone", "h2");
      await refused(lab, "zone", /assigned node no longer meets constraints/);
      await lab.docker("h1", "service", "rm", "port", "big", "zone", "sick");
    });

    await t.step(
      "jobs run to their end, as often as asked, and the stock client waits",
      async () => {
        const job = ["--mode", "replicated-job", "--replicas", "4", "--max-concurrent", "2"];
        const flags = [
          "service",
          "create",
          "--detach=false",
          "--no-resolve-image",
          "--name",
          "job",
        ];
        const out = await lab.docker("h1", ...flags, ...job, "busybox:latest", "true");
        assert.match(out, /job complete/);
        const completed = async () =>
          (await lab.tasks("job")).filter(({ Status }) => Status.State === "complete").length;
        assert.equal(await completed(), 4);
        assert.match(
          await lab.docker("h1", "service", "ls"),
          /job +replicated job +0\/2 \(4\/4 completed\)/,
        );
        await lab.docker("h1", "service", "update", "--detach=false", "--force", "job");
        const { JobStatus } = await lab.get<{ JobStatus: { JobIteration: { Index: number } } }>(
          "h1",
          "/v1.41/services/job",
        );
        assert.equal(JobStatus.JobIteration.Index, 1);
        await lab.docker("h1", "service", "rm", "job");
      },
    );

    await t.step("the stock client's progress, scale and roll-back", async () => {
      const create = ["service", "create", "--detach=false", "--no-resolve-image", "--name", "p"];
      const names = [
        ...["--hostname", "{{.Service.Name}}-{{.Task.Slot}}", "--env", "ON={{.Node.Hostname}}"],
      ];
      const settings = ["--update-monitor", "1s", "--rollback-monitor", "1s", ...names, ...QUICK];
      assert.match(
        await lab.docker("h1", ...create, ...settings, "--replicas", "2", ...SLEEP),
        /overall progress: 2 out of 2 tasks\n[\s\S]*verify: Service \w+ converged/,
      );
      assert.match(
        await lab.docker("h1", "service", "scale", "p=3"),
        /p scaled to 3\n[\s\S]*overall progress: 3 out of 3[\s\S]*converged/,
      );
      const { host, id } = (await lab.containers("p"))[0]!;
      const inside = await lab.host(host).docker(["exec", id, "sh", "-c", "hostname; echo $ON"]);
      assert.match(inside.stdout, new RegExp(`^p-[123]\n${host}\n$`));
      await lab.fleet("h1", "service", "update", "-d", "--restart-backoff=false", "p");
      await lab.docker("h1", "service", "update", "--detach=false", "--env-add", "A=1", "p");
      const back = await lab.docker("h1", "service", "rollback", "--detach=false", "p");
      assert.match(back, /rollback: manually requested rollback/);
      const { UpdateStatus, Spec } = await lab.get<
        {
          UpdateStatus: { State: string };
          Spec: { Backoff?: boolean; TaskTemplate: { ContainerSpec: { Env?: string[] } } };
        }
      >("h1", "/v1.41/services/p");
      assert.equal(UpdateStatus.State, "rollback_completed");
      assert.deepEqual(Spec.TaskTemplate.ContainerSpec.Env, ["ON={{.Node.Hostname}}"]);
      assert.equal(Spec.Backoff, false, "the stock client's update dropped what it does not know");
      assert.match(
        await lab.docker("h1", "service", "ps", "p"),
        /p\.1 +busybox:latest +h\d +Running +Running/,
      );
    });
  }, { engineSettings: REGISTRY_SETTINGS });
});
