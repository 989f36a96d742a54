import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Engine, engineCall, engineJson } from "../../src/adapters/docker/engine.ts";
import { DockerExecutor } from "../../src/adapters/docker/executor.ts";
import { TaskFiles } from "../../src/adapters/docker/task_files.ts";
import { realClock } from "../../src/adapters/host/real_clock.ts";
import { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import type { LabHost } from "../../src/adapters/lab_hosts/host.ts";
import { silentLogger } from "../../src/base/log.ts";
import type { Assignments } from "../../src/model/session.ts";
import type { Task, TaskStatus } from "../../src/model/task.ts";
import { MemoryTaskStore } from "../../src/roles/agent/task_store.ts";
import type { TaskStore } from "../../src/roles/agent/task_store.ts";
import { Worker } from "../../src/roles/agent/worker.ts";
import { ExecutorContract } from "../contract/executor_contract.ts";
import { makeTask } from "../support/make_task.ts";
import { until } from "../support/until.ts";

const LAB = "dockercontract";
/** A tmpfs that the hosts of a lab and this process both see. */
const FILES = "/dev/shm/fleet-docker-contract";

/** A worker on a real engine, without managers. */
class Node {
  readonly engine: Engine;
  readonly executor: DockerExecutor;
  readonly worker: Worker;
  readonly statuses = new Map<string, TaskStatus>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #sequence = 0;

  constructor(host: LabHost, readonly store: TaskStore = new MemoryTaskStore()) {
    this.engine = new Engine(host.layout.engineSocket);
    this.executor = new DockerExecutor({
      engine: this.engine,
      logger: silentLogger,
      nodeId: "node1",
      hostname: undefined,
      files: new TaskFiles(FILES, {
        secret: (id) => this.worker.secret(id),
        config: (id) => this.worker.config(id),
      }),
    });
    this.worker = new Worker({
      executor: this.executor,
      store,
      clock: realClock,
      logger: silentLogger,
      onStatus: (id, status) => this.statuses.set(id, status),
    });
  }

  async start(): Promise<this> {
    await this.executor.describe(AbortSignal.timeout(60_000));
    this.#running = this.executor.run(this.#stop.signal);
    await this.worker.start();
    return this;
  }

  assign(tasks: readonly Task[], more: Assignments["update"] = []): void {
    const update = [
      ...more,
      ...tasks.map((task) => ({ kind: "task", id: task.ID, task } as const)),
    ];
    const resultsIn = ++this.#sequence;
    this.worker.apply({ kind: "complete", appliesTo: 0, resultsIn, update, remove: [] });
  }

  async reaches(id: string, state: string): Promise<TaskStatus> {
    await until(`task ${id} ${state}`, () => this.#statusOf(id)?.State === state);
    return this.#statusOf(id)!;
  }

  #statusOf(id: string): TaskStatus | undefined {
    return this.worker.tasks().find(({ task }) => task.ID === id)?.status;
  }

  /** As SIGTERM to the agent: containers go on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.worker.close();
    await this.#running;
    this.engine.close();
  }
}

async function withHost(
  body: (host: LabHost, t: Deno.TestContext) => Promise<void>,
  t: Deno.TestContext,
) {
  await Lab.remove(LAB);
  const lab = await Lab.up({ name: LAB, hosts: 1 });
  try {
    await body(lab.host("h1"), t);
  } finally {
    await lab.down();
    await Deno.remove(FILES, { recursive: true }).catch(() => {});
  }
}

async function running(host: LabHost): Promise<string[]> {
  const { stdout } = await host.docker(["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]);
  return stdout.trim().split("\n").filter(Boolean).sort();
}

Deno.test("tasks on a real engine", async (t) => {
  await withHost(async (host) => {
    const engine = new Engine(host.layout.engineSocket);
    const contract = new ExecutorContract({ api: engine, filesFolder: FILES });
    for (const [name, rule] of Object.entries(contract.rules())) await t.step(name, rule);
    engine.close();

    await t.step(
      "secrets and configs are files in the container, on tmpfs, gone afterwards",
      () => secrets(host),
    );
    await t.step("host-mode ports are told as they came out", () => hostPorts(host));
    await t.step(
      "an agent that restarts adopts what runs and finds out what ended",
      () => restartedAgent(host),
    );
    await t.step("tasks end when the engine restarts, the agent stays", () => engineRestart(host));
    await t.step("an engine that is not there is waited for", () => engineAway(host));
    await t.step("a socket without permission is named", () => noPermission(host));
  }, t);
});

async function secrets(host: LabHost): Promise<void> {
  const node = await new Node(host).start();
  const script = [
    'test "$(cat /run/secrets/pw)" = hunter2 || exit 11',
    'test "$(stat -c %a:%u:%g /run/secrets/pw)" = 440:65534:7 || exit 12',
    'test "$(cat /etc/app.conf)" = "a: b" || exit 13',
    "echo x > /run/secrets/pw && exit 14",
    'test "$(df -P /run/secrets/pw | tail -1 | cut -d" " -f1)" = tmpfs || exit 15',
    "exit 0",
  ].join("\n");
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const task = makeTask("withsecrets", {
    container: {
      Command: ["sh", "-c", script],
      Secrets: [{
        SecretID: "s1",
        SecretName: "pw",
        File: { Name: "pw", UID: "65534", GID: "7", Mode: 0o440 },
      }],
      Configs: [{ ConfigID: "c1", ConfigName: "conf", File: { Name: "/etc/app.conf" } }],
    },
  });
  node.assign([task], [
    { kind: "secret", id: "s1", name: "pw", data: base64("hunter2") },
    { kind: "config", id: "c1", name: "conf", data: base64("a: b") },
  ]);
  const status = await node.reaches(task.ID, "complete").catch(() => node.statuses.get(task.ID));
  assert.equal(status?.State, "complete", status?.Err);
  node.assign([]);
  await until("files removed", async () => (await filesLeft()).length === 0);
  const missing = makeTask("missingsecret", {
    container: { Secrets: [{ SecretID: "s9", File: { Name: "pw" } }] },
  });
  node.assign([missing]);
  assert.match((await node.reaches(missing.ID, "rejected")).Err ?? "", /secret s9/);
  node.assign([]);
  await node.stop();
}

async function filesLeft(): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(FILES))).map(({ name }) => name);
}

async function hostPorts(host: LabHost): Promise<void> {
  const node = await new Node(host).start();
  const task = makeTask("ports", {
    container: { Command: ["httpd", "-f", "-p", "80"] },
    EndpointSpec: {
      Ports: [
        { Protocol: "tcp", TargetPort: 80, PublishedPort: 8081, PublishMode: "host" },
        { Protocol: "udp", TargetPort: 53, PublishMode: "host" },
        { Protocol: "tcp", TargetPort: 99, PublishedPort: 9999, PublishMode: "ingress" },
      ],
    },
  });
  node.assign([task]);
  const { PortStatus } = await node.reaches(task.ID, "running");
  const [dns, web, ...others] = PortStatus?.Ports ?? [];
  assert.deepEqual(others, []);
  assert.deepEqual(web, {
    Protocol: "tcp",
    TargetPort: 80,
    PublishedPort: 8081,
    PublishMode: "host",
  });
  assert.equal(dns?.Protocol, "udp");
  assert.ok((dns?.PublishedPort ?? 0) > 1024);
  const second = makeTask("portstaken", { Slot: 2, EndpointSpec: task.EndpointSpec! });
  node.assign([task, second]);
  assert.match((await node.reaches(second.ID, "failed")).Err ?? "", /port is already allocated/);
  node.assign([]);
  await until("containers removed", async () => (await running(host)).length === 0);
  await node.stop();
}

async function restartedAgent(host: LabHost): Promise<void> {
  const store = new MemoryTaskStore();
  const tasks = Array.from({ length: 5 }, (_, i) => makeTask(`adopted${i}`, { Slot: i + 1 }));
  const first = await new Node(host, store).start();
  first.assign(tasks);
  for (const { ID } of tasks) await first.reaches(ID, "running");
  const before = await running(host);
  assert.equal(before.length, 5);
  await first.stop();
  assert.deepEqual(await running(host), before, "containers go on without an agent");
  const killed = "adopted0";
  assert.equal((await host.docker(["kill", `web.1.${killed}`])).code, 0);
  await host.docker(["run", "-d", "--name", "bystander", "busybox", "sleep", "1000"]);

  const second = await new Node(host, store).start();
  assert.equal((await second.reaches(killed, "failed")).Err, "task: non-zero exit (137)");
  second.assign(tasks.filter(({ ID }) => ID !== "adopted4"));
  await second.worker.sweep(AbortSignal.timeout(60_000));
  await until(
    "the one not assigned is removed",
    async () => !(await running(host)).some((line) => line.endsWith(".adopted4")),
  );
  const expected = before.filter((line) => !line.endsWith(killed) && !line.endsWith("adopted4"));
  const own = (await running(host)).filter((line) => !line.endsWith(" bystander"));
  assert.deepEqual(own, expected, "none restarted, none doubled");

  await second.stop();
  // An agent that lost its table finds the containers again; those nobody owns go.
  const third = await new Node(host).start();
  third.assign([tasks[1]!]);
  await third.reaches("adopted1", "running");
  await third.worker.sweep(AbortSignal.timeout(60_000));
  assert.deepEqual(
    (await running(host)).map((line) => line.split(" ")[1]).sort(),
    ["bystander", "web.2.adopted1"],
  );
  await third.worker.removeAll(AbortSignal.timeout(60_000));
  assert.deepEqual((await running(host)).map((line) => line.split(" ")[1]), ["bystander"]);
  await host.docker(["rm", "-f", "bystander"]);
  await third.stop();
}

async function engineRestart(host: LabHost): Promise<void> {
  const node = await new Node(host).start();
  const tasks = [makeTask("restart1"), makeTask("restart2", { Slot: 2 })];
  node.assign(tasks);
  for (const { ID } of tasks) await node.reaches(ID, "running");
  await host.stop("dockerd");
  await host.startEngine();
  for (const { ID } of tasks) {
    assert.match((await node.reaches(ID, "failed")).Err ?? "", /^task: non-zero exit/);
  }
  const next = makeTask("afterrestart", { Slot: 3 });
  node.assign([next]);
  await node.reaches(next.ID, "running");

  // The same with everything killed at once.
  await host.killEngine();
  const during = makeTask("duringcrash", { Slot: 4 });
  node.assign([next, during]);
  await host.startEngine();
  await node.reaches(next.ID, "failed");
  await node.reaches(during.ID, "running");
  node.assign([]);
  await until("containers removed", async () => (await running(host)).length === 0);
  await node.stop();
}

async function engineAway(host: LabHost): Promise<void> {
  const engine = new Engine(host.layout.engineSocket);
  await host.stop("dockerd");
  await assert.rejects(
    engineCall(engine, "GET", "/_ping"),
    { kind: "unavailable", message: /no Docker Engine answers on .*--docker-host/ },
  );
  await host.startEngine();
  const info = await engineJson<{ ServerVersion: string }>(engine, "GET", "/info");
  assert.match(info.ServerVersion, /^\d/);
  engine.close();
}

async function noPermission(host: LabHost): Promise<void> {
  const script = `
    const { Engine, engineCall } = await import(Deno.args[0]);
    try { await engineCall(new Engine(Deno.args[1]), "GET", "/_ping"); }
    catch (error) { console.log(error.kind + ": " + error.message); }
    Deno.exit(0);
  `;
  const url = new URL("../../src/adapters/docker/engine.ts", import.meta.url).pathname;
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/try.ts`, script);
  await Deno.chmod(folder, 0o755);
  const { stdout } = await new Deno.Command("setpriv", {
    args: [
      ...["--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"],
      ...["--inh-caps=-all", "--bounding-set=-all"],
      ...[Deno.execPath(), "run", "--no-lock", "--no-config", "-A", `${folder}/try.ts`],
      ...[url, host.layout.engineSocket],
    ],
    env: { HOME: folder, DENO_DIR: `${folder}/deno` },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  await Deno.remove(folder, { recursive: true });
  assert.match(
    new TextDecoder().decode(stdout),
    /^forbidden: no permission on the engine's socket/,
  );
}
