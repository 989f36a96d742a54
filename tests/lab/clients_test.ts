/** Programs that people use with Docker Swarm, as they are packaged, on fleet's socket. */
import assert from "node:assert/strict";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";
import { useDockerode } from "./support/dockerode.ts";
import { KNOWN_CLIENTS, missingFields } from "./support/known_clients.ts";
import { until } from "../support/until.ts";

/** Debian's own: the libraries of its packages belong to it. */
const PYTHON = "/usr/bin/python3";
const SCRIPT_TIMEOUT_MS = 300_000;

Deno.test("programs made for Docker Swarm work with fleet", async (t) => {
  await withFleetLab("clients", 1, async (lab) => {
    await lab.form();
    await t.step(
      "docker-py: the cluster, services, tasks, secrets, configs, networks",
      async () => {
        assert.deepEqual(await dockerPy(lab, "use"), USED_BY_DOCKER_PY);
      },
    );
    await t.step("dockerode: events, services, tasks, logs, commands in containers", async () => {
      assert.deepEqual(
        await useDockerode(lab.host("h1").layout.fleetSocket),
        USED_BY_DOCKERODE,
      );
    });
    await t.step("what Traefik, Portainer and Swarmpit ask and read", () => knownClients(lab));
    await t.step("Prometheus discovers nodes, services and tasks", () => prometheus(lab));
    await t.step("docker-compose runs a project beside the cluster", () => compose(lab));
    await t.step("docker-py: a node leaves and founds a cluster", async () => {
      const { address } = lab.host("h1");
      assert.deepEqual(await dockerPy(lab, "anew", address), FOUNDED_BY_DOCKER_PY);
    });
  });
});

const STALE = "500 rpc error: code = Unknown desc = update out of sequence";
const USED_BY_DOCKER_PY = [
  "api True True",
  "swarm default active",
  "update True",
  "rotated True True 3",
  "unlock key ''",
  "node ready True True",
  "label True {'zone': 'a'}",
  `stale ${STALE}`,
  "nobody 404 node nobody not found",
  "secret pw 1 False",
  "again 409 rpc error: code = AlreadyExists desc = secret pw already exists",
  "config b'a: b' ['conf']",
  "network swarm 172.29.0.0/24 ['front', 'ingress']",
  "service web {'Replicated': {'Replicas': 2}} 5 ['10.1.2.3 other']",
  "tasks [1, 2] True 2",
  "inside b'hunter2a: b' web b",
  "endpoint ['front', 'ingress'] [(8081, 80, 'tcp'), (8082, 81, 'udp')]",
  "log True",
  "listed ['web']",
  "in use 400 rpc error: code = InvalidArgument desc = secret 'pw' is in use by the following service: web",
  "taken 409 rpc error: code = AlreadyExists desc = name conflicts with an existing object: service web already exists",
  "scale {'Warnings': None} 3",
  "changed {'Warnings': None}",
  "now ['A=2'] {'team': 'b'} True conf",
  "forced None 1",
  "global 1 False True",
  `no number ${STALE}`,
  "gone 404 service web not found",
  "removed True True True",
  "left 0 0 ['ingress']",
];
const FOUNDED_BY_DOCKER_PY = [
  "leave 503 You are attempting to leave the swarm on a node that is participating as a manager. " +
  "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message.  True",
  'left inactive 503 This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" ' +
  "to connect this node to swarm and try again.",
  "init True ['172.30.0.0/16'] 26 5000",
  'again 503 This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
];
const USED_BY_DOCKERODE = [
  "ping OK",
  "swarm default true",
  "node true true",
  'objects 1 {"Name":"settings","Labels":{"team":"a"},"Data":"aHVudGVyMw=="} swarm',
  'task running ["back","ingress"]',
  'virtual addresses ["back","ingress"]',
  "exec hunter3 3",
  "logs 4",
  "scaled 1",
  `stale ${STALE}`,
  "gone 404",
  'events ["secret create","network create","service create","service remove"]',
];

/** Runs the script; the lines that it prints. */
async function dockerPy(lab: FleetLab, ...args: string[]): Promise<string[]> {
  const script = new URL("support/docker_py.py", import.meta.url).pathname;
  const { code, stdout, stderr } = await capture(
    [PYTHON, "-B", script, lab.host("h1").layout.fleetSocket, ...args],
    { timeoutMs: SCRIPT_TIMEOUT_MS },
  );
  assert.equal(code, 0, stdout + stderr);
  return stdout.trim().split("\n");
}

/** A service with everything in it that dashboards show, made as a stack's services are. */
async function shop(lab: FleetLab): Promise<Readonly<Record<string, string>>> {
  const docker = (...args: string[]) => lab.docker("h1", ...args);
  const label = ["--label", "com.docker.stack.namespace=shop"];
  await docker("network", "create", "--driver", "overlay", ...label, "shop_net");
  await docker("volume", "create", ...label, "shop_data");
  await lab.post("h1", "/secrets/create", { Name: "shop_pw", Data: "eA==" });
  await lab.post("h1", "/configs/create", { Name: "shop_conf", Data: "eA==" });
  await docker(
    ...["service", "create", "--detach", "--no-resolve-image", "--name", "shop_web", ...label],
    ...["--container-label", "a=b", "--network", "shop_net", "--publish", "8089:80"],
    ...["--env", "A=b", "--mount", "type=volume,source=shop_data,target=/data"],
    ...["--secret", "shop_pw", "--config", "shop_conf", "--constraint", "node.role==manager"],
    ...["--limit-memory", "64M", "--reserve-cpu", "0.1", "--restart-max-attempts", "3"],
    ...["--restart-condition", "any", "--restart-delay", "1s", "--log-driver", "json-file"],
    ...["--log-opt", "max-size=1m", "--update-parallelism", "1", "--update-delay", "1s"],
    ...["--update-order", "start-first", "--update-failure-action", "pause"],
    ...["--stop-grace-period", "1s"],
    ...["busybox:latest", "sh", "-c", "echo ready to sell; exec sleep 1000"],
  );
  await lab.converged("shop_web", 1);
  await until(
    "the line in the log",
    async () => (await docker("service", "logs", "shop_web")).includes("ready"),
  );
  const [service] = await lab.get<{ ID: string }[]>("h1", "/services");
  const [task] = await lab.get<{ NodeID: string }[]>("h1", "/tasks");
  const byService = { service: { [service!.ID]: true }, "desired-state": { running: true } };
  return {
    "service-id": service!.ID,
    node: task!.NodeID,
    service: encodeURIComponent(JSON.stringify(byService)),
  };
}

async function knownClients(lab: FleetLab): Promise<void> {
  const words = await shop(lab);
  const client = Deno.createHttpClient({
    proxy: { transport: "unix", path: lab.host("h1").layout.fleetSocket },
  });
  const problems: string[] = [];
  try {
    for (const { name, queries } of KNOWN_CLIENTS) {
      for (const { request, text, fields } of queries) {
        const filled = request.replace(
          /\{([a-z-]+)\}|%7B([a-z-]+)%7D/g,
          (_, plain, encoded) => words[plain ?? encoded]!,
        );
        const [method = "", target] = filled.split(" ");
        const response = await fetch(`http://fleet${target}`, { method, client } as RequestInit);
        const body = await response.text();
        const wrong = !response.ok
          ? [`${response.status} ${body}`]
          : text
          ? text.test(body) ? [] : [`the answer is ${JSON.stringify(body)}`]
          : fields
          ? missingFields(JSON.parse(body), fields)
          : [];
        problems.push(...wrong.map((what) => `${name}: ${request}: ${what}`));
      }
    }
  } finally {
    client.close();
  }
  assert.deepEqual(problems, []);
  await whereTraefikSends(lab);
  await lab.docker("h1", "service", "rm", "shop_web");
}

/** Traefik joins services, networks and tasks to the address that it sends requests to. */
async function whereTraefikSends(lab: FleetLab): Promise<void> {
  interface Found {
    readonly Endpoint: { readonly VirtualIPs: readonly { NetworkID: string; Addr: string }[] };
  }
  const networks = await lab.get<{ Id: string; Name: string }[]>("h1", "/networks");
  const nameOf = (id: string) => networks.find(({ Id }) => Id === id)?.Name ?? id;
  const [service] = await lab.get<Found[]>("h1", "/services");
  const { VirtualIPs } = service!.Endpoint;
  assert.deepEqual(VirtualIPs.map(({ NetworkID }) => nameOf(NetworkID)), ["ingress", "shop_net"]);
  const [task] = await lab.get<{
    readonly NetworksAttachments: readonly {
      readonly Network: { readonly ID: string };
      readonly Addresses: readonly string[];
    }[];
    readonly Status: { readonly ContainerStatus: { readonly ContainerID: string } };
  }[]>("h1", "/tasks");
  const told = Object.fromEntries(
    task!.NetworksAttachments.map(({ Network, Addresses }) => [nameOf(Network.ID), Addresses]),
  );
  const { NetworkSettings } = await lab.get<{
    readonly NetworkSettings: {
      readonly Networks: Readonly<Record<string, { IPAddress: string; IPPrefixLen: number }>>;
    };
  }>("h1", `/containers/${task!.Status.ContainerStatus.ContainerID}/json`);
  const real = Object.fromEntries(
    Object.entries(NetworkSettings.Networks).map((
      [name, { IPAddress, IPPrefixLen }],
    ) => [name, [`${IPAddress}/${IPPrefixLen}`]]),
  );
  assert.deepEqual(told, real, "the tasks' addresses are their containers'");
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
  // It finds services by their virtual addresses: a published port comes with one on the mesh's network.
  await lab.docker(
    "h1",
    ...["service", "create", "--detach", "--no-resolve-image", "--name", "shown"],
    ...["--label", "job=shown", "--publish", "8080:80", "--stop-grace-period", "1s"],
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
      // It answers before it is ready, with a sentence that is no JSON.
      if (!response?.ok) {
        await response?.body?.cancel();
        return false;
      }
      const { data } = await response.json() as Targets;
      labels = new Map(
        data.activeTargets.map((found) => [found.scrapePool, found.discoveredLabels]),
      );
      return labels.size === roles.length;
    });
    const meta = (role: string, name: string) => labels.get(role)?.[`__meta_dockerswarm_${name}`];
    assert.equal(meta("nodes", "node_hostname"), "h1");
    assert.equal(meta("nodes", "node_manager_leader"), "true");
    assert.equal(meta("services", "service_name"), "shown");
    assert.equal(meta("services", "service_label_job"), "shown");
    assert.equal(meta("services", "network_name"), "ingress");
    assert.equal(meta("services", "network_ingress"), "true");
    assert.equal(meta("tasks", "task_state"), "running");
    assert.equal(meta("tasks", "network_ingress"), "true");
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
      timeoutMs: 180_000,
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
