/** Programs that people use with Docker Swarm, as they are packaged, on fleet's socket. */
import assert from "node:assert/strict";
import { capture, until } from "../../src/adapters/lab_hosts/process.ts";
import { withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";

/** Debian's own: the libraries of its packages belong to it. */
const PYTHON = "/usr/bin/python3";

Deno.test("packaged clients of Docker work with fleet", async (t) => {
  await withFleetLab("clients", 1, async (lab) => {
    await lab.form();
    await t.step(
      "docker-py: swarm, nodes, secrets, configs, networks",
      () => dockerPy(lab),
    );
    await t.step("Prometheus discovers nodes, services and tasks", () => prometheus(lab));
    await t.step("docker-compose runs a project beside the cluster", () => compose(lab));
  });
});

async function dockerPy(lab: FleetLab): Promise<void> {
  const script = new URL("support/docker_py.py", import.meta.url).pathname;
  const { code, stdout, stderr } = await capture(
    [PYTHON, script, lab.host("h1").layout.fleetSocket],
    { timeoutMs: 120_000 },
  );
  assert.equal(code, 0, stdout + stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    "api True",
    "swarm default active",
    "node ready True",
    "label True {'zone': 'a'}",
    "secret pw 1",
    "config b'a: b'",
    "network swarm",
  ]);
}

interface Targets {
  readonly data: {
    readonly activeTargets: readonly {
      readonly scrapePool: string;
      readonly discoveredLabels: Readonly<Record<string, string>>;
    }[];
  };
}

async function prometheus(lab: FleetLab): Promise<void> {
  const host = lab.host("h1");
  // It finds services by their virtual addresses, of which one comes with each network.
  await lab.docker("h1", "network", "create", "--driver", "overlay", "seen");
  await lab.docker(
    "h1",
    ...["service", "create", "--detach", "--no-resolve-image", "--name", "shown"],
    ...["--label", "job=shown", "--publish", "8080:80", "--stop-grace-period", "1s"],
    ...["--network", "seen"],
    ...["busybox:latest", "sleep", "1000"],
  );
  await lab.converged("shown", 1);
  const folder = await Deno.makeTempDir();
  const roles = ["nodes", "services", "tasks"];
  await Deno.writeTextFile(
    `${folder}/prometheus.yml`,
    "scrape_configs:\n" + roles.map((role) =>
      `- job_name: ${role}\n  dockerswarm_sd_configs:\n` +
      `  - host: unix://${host.layout.fleetSocket}\n    role: ${role}\n    refresh_interval: 1s\n`
    ).join(""),
  );
  // Its port is on the lab host's own addresses: nothing else listens there.
  const child = new Deno.Command("prometheus", {
    args: [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      "--web.listen-address=127.0.0.1:19090",
      "--log.level=error",
    ],
    cwd: folder,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  try {
    let labels = new Map<string, Readonly<Record<string, string>>>();
    await until("Prometheus finds all three", async () => {
      const response = await fetch("http://127.0.0.1:19090/api/v1/targets").catch(() => undefined);
      if (!response) return false;
      const { data } = await response.json() as Targets;
      labels = new Map(
        data.activeTargets.map((found) => [found.scrapePool, found.discoveredLabels]),
      );
      return labels.size === roles.length;
    }, 60_000);
    const meta = (role: string, name: string) => labels.get(role)?.[`__meta_dockerswarm_${name}`];
    assert.equal(meta("nodes", "node_hostname"), "h1");
    assert.equal(meta("nodes", "node_manager_leader"), "true");
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await said;
    await Deno.remove(folder, { recursive: true });
    await lab.docker("h1", "service", "rm", "shown");
  }
}

async function compose(lab: FleetLab): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "project" });
  await Deno.writeTextFile(
    `${folder}/docker-compose.yml`,
    'version: "3"\nservices:\n  one:\n    image: busybox:latest\n    command: sleep 1000\n    stop_grace_period: 1s\n',
  );
  const run = (...args: string[]) =>
    capture(["docker-compose", "-p", "project", ...args], {
      cwd: folder,
      env: lab.host("h1").env(),
      timeoutMs: 60_000,
    });
  try {
    const up = await run("up", "-d");
    assert.equal(up.code, 0, up.stderr);
    const inside = await run("exec", "-T", "one", "echo", "inside");
    assert.equal(inside.stdout, "inside\n", inside.stderr);
    const down = await run("down");
    assert.equal(down.code, 0, down.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
