import assert from "node:assert/strict";
import { checkEngine, DockerExecutor } from "../../src/adapters/docker/executor.ts";
import { engineCall, engineJson } from "../../src/adapters/docker/engine.ts";
import type { EngineApi } from "../../src/adapters/docker/engine.ts";
import { TaskFiles } from "../../src/adapters/docker/task_files.ts";
import { silentLogger } from "../../src/base/log.ts";
import { step } from "../../src/core/task/step.ts";
import type { Controller } from "../../src/core/task/controller.ts";
import type { TaskState } from "../../src/model/task_state.ts";
import type { Task, TaskStatus } from "../../src/model/task.ts";
import { makeTask } from "../support/make_task.ts";

/** An engine with an image `busybox` whose registry cannot be reached. */
export interface EngineUnderTest {
  readonly api: EngineApi;
  /** A folder in memory that the engine sees under the same path. */
  readonly filesFolder: string;
}

interface Inspected {
  Id: string;
  Name: string;
  Config: Record<string, unknown>;
  HostConfig: Record<string, unknown>;
  State: { Status: string; StartedAt: string };
}

let serial = 0;

/** What the Docker executor must do on any engine, the fake one included. */
export class ExecutorContract {
  readonly #engine: EngineUnderTest;
  readonly #nodeId = `node${Date.now().toString(36)}${serial++}`;

  constructor(engine: EngineUnderTest) {
    this.#engine = engine;
  }

  /** Every rule by name; each leaves the engine as it found it. */
  rules(): Record<string, () => Promise<void>> {
    return {
      "describes the node": () => this.#describes(),
      "runs, stops and removes a task": () => this.#runs(),
      "builds the container that the task asks for": () => this.#builds(),
      "tells how a program ended": () => this.#ends(),
      "rejects a task whose image cannot be had": () => this.#noImage(),
      "adopts what an earlier agent made": () => this.#adopts(),
      "waits until the container is healthy": () => this.#healthy(),
      "fails a container that is or becomes unhealthy": () => this.#unhealthy(),
      "notices a container that is removed behind its back": () => this.#destroyed(),
      "stops within the grace period by the program's own hand": () => this.#grace(),
      "does not let go of a container that is being made": () => this.#abortedPrepare(),
      "touches only its own containers": () => this.#ownOnly(),
      "refuses a container of the same name that is not its own": () => this.#foreignName(),
    };
  }

  async #describes(): Promise<void> {
    await this.#with(async ({ executor }) => {
      const description = await executor.describe(AbortSignal.timeout(5_000));
      assert.ok(description.Hostname);
      assert.equal(description.Platform?.OS, "linux");
      assert.ok((description.Resources?.NanoCPUs ?? 0) >= 1e9);
      assert.ok((description.Resources?.MemoryBytes ?? 0) > 1e8);
      assert.match(description.Engine?.EngineVersion ?? "", /^\d+\.\d+/);
      const plugins = (description.Engine?.Plugins ?? []).map(({ Type, Name }) =>
        `${Type}/${Name}`
      );
      for (const needed of ["Network/bridge", "Network/overlay", "Volume/local"]) {
        assert.ok(plugins.includes(needed), needed);
      }
      await checkEngine(this.#engine.api);
    });
  }

  async #runs(): Promise<void> {
    await this.#with(async ({ drive, inspect }) => {
      const run = drive(this.#task("runs"));
      assert.deepEqual(await run.to("running"), [
        "accepted accepted",
        "preparing preparing",
        "ready prepared",
        "starting starting",
        "running started",
      ]);
      const container = await inspect(run.task);
      assert.equal(container?.State.Status, "running");
      assert.equal(run.status.ContainerStatus?.ContainerID, container?.Id);
      assert.ok((run.status.ContainerStatus?.PID ?? 0) > 0);

      run.task = { ...run.task, DesiredState: "shutdown" };
      assert.deepEqual(await run.to("shutdown"), ["shutdown shutdown"]);
      assert.equal(run.status.ContainerStatus?.ExitCode, 137, "sleep does not hear SIGTERM");
      assert.equal((await inspect(run.task))?.State.Status, "exited", "kept for its logs");
      await run.controller.remove(AbortSignal.timeout(5_000));
      assert.equal(await inspect(run.task), undefined);
      await run.controller.remove(AbortSignal.timeout(5_000));
    });
  }

  async #builds(): Promise<void> {
    await this.#with(async ({ drive, inspect }) => {
      const run = drive(this.#task("builds", {
        container: {
          Hostname: "{{.Service.Name}}-{{.Task.Slot}}",
          Env: ["NODE={{.Node.ID}}", "PLAIN=1"],
          Labels: { mine: "yes", "com.docker.swarm.task.id": "forged" },
          Dir: "/tmp",
          User: "nobody",
          Init: true,
          StopSignal: "SIGUSR1",
          CapabilityDrop: ["CAP_NET_RAW"],
          Hosts: ["10.1.2.3 first second"],
          Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }],
          Mounts: [{ Type: "tmpfs", Target: "/scratch" }],
        },
      }));
      await run.to("ready");
      const container = await inspect(run.task);
      assert.equal(container?.Name, `/web.1.${run.task.ID}`);
      const config = container?.Config ?? {};
      assert.equal(config["Hostname"], "web-1");
      const env = config["Env"] as string[];
      assert.ok(env.includes(`NODE=${this.#nodeId}`) && env.includes("PLAIN=1"), String(env));
      const labels = config["Labels"] as Record<string, string>;
      assert.equal(labels["mine"], "yes");
      assert.equal(labels["com.docker.swarm.task"], "");
      assert.equal(labels["com.docker.swarm.task.id"], run.task.ID);
      assert.equal(labels["com.docker.swarm.task.name"], `web.1.${run.task.ID}`);
      assert.equal(labels["com.docker.swarm.node.id"], this.#nodeId);
      assert.equal(labels["com.docker.swarm.service.id"], "service-of-web");
      assert.equal(labels["com.docker.swarm.service.name"], "web");
      assert.equal(config["WorkingDir"], "/tmp");
      assert.equal(config["User"], "nobody");
      assert.equal(config["StopSignal"], "SIGUSR1");
      const host = container?.HostConfig ?? {};
      assert.deepEqual(
        host["RestartPolicy"] && (host["RestartPolicy"] as { Name: string }).Name,
        "no",
      );
      assert.equal(host["Init"], true);
      assert.deepEqual(host["ExtraHosts"], ["first:10.1.2.3", "second:10.1.2.3"]);
      assert.deepEqual(host["CapDrop"], ["CAP_NET_RAW"]);
    });
  }

  async #ends(): Promise<void> {
    await this.#with(async ({ drive }) => {
      const failing = drive(this.#task("fails", { container: sh("exit 3") }));
      await failing.to("failed");
      assert.equal(failing.status.Err, "task: non-zero exit (3)");
      assert.equal(failing.status.ContainerStatus?.ExitCode, 3);
      const finishing = drive(this.#task("ends", { container: sh("exit 0") }));
      assert.equal((await finishing.to("complete")).at(-1), "complete finished");
      assert.equal(finishing.status.Err, undefined);
    });
  }

  async #noImage(): Promise<void> {
    await this.#with(async ({ drive }) => {
      const run = drive(this.#task("noimage", { container: { Image: "no/such:image" } }));
      await run.to("rejected");
      assert.match(run.status.Err ?? "", /^cannot pull image no\/such:image: \S/);
    });
  }

  async #adopts(): Promise<void> {
    await this.#with(async ({ drive, inspect }) => {
      const first = drive(this.#task("adopts"));
      await first.to("running");
      const before = await inspect(first.task);
      // The next agent knows less than the engine: it lost everything after "preparing".
      await this.#with(async ({ drive: driveAgain }) => {
        const second = driveAgain(first.task);
        await second.to("running");
        assert.equal(second.status.ContainerStatus?.ContainerID, before?.Id);
        assert.equal((await inspect(first.task))?.State.StartedAt, before?.State.StartedAt);
      }, { keep: true });

      const ended = drive(this.#task("adoptsended", { container: sh("exit 4") }));
      await ended.to("failed");
      await this.#with(async ({ drive: driveAgain }) => {
        const again = driveAgain(ended.task);
        await again.to("failed");
        assert.equal(again.status.Err, "task: non-zero exit (4)", "it is not started again");
      }, { keep: true });
    });
  }

  async #healthy(): Promise<void> {
    await this.#with(async ({ drive, inspect }) => {
      const run = drive(this.#task("healthy", { container: { Healthcheck: check("exit 0") } }));
      await run.to("running");
      const { State } = await inspect(run.task) as unknown as {
        State: { Health: { Status: string } };
      };
      assert.equal(State.Health.Status, "healthy");
    });
  }

  async #unhealthy(): Promise<void> {
    await this.#with(async ({ drive, inspect }) => {
      const run = drive(this.#task("sick", { container: { Healthcheck: check("exit 1") } }));
      const states = await run.to("failed");
      assert.ok(!states.some((line) => line.startsWith("running")), "it never ran");
      assert.match(run.status.Err ?? "", /^unhealthy container/);
      assert.equal((await inspect(run.task))?.State.Status, "exited");
    });
  }

  async #destroyed(): Promise<void> {
    await this.#with(async ({ drive, inspect }) => {
      const run = drive(this.#task("destroyed"));
      await run.to("running");
      const end = run.to("failed");
      const { Id } = (await inspect(run.task))!;
      await engineCall(this.#engine.api, "DELETE", `/containers/${Id}?force=true`);
      await end;
      assert.match(run.status.Err ?? "", /^task: non-zero exit \(137\)/);
    });
  }

  async #grace(): Promise<void> {
    await this.#with(async ({ drive }) => {
      const listening = sh("trap 'exit 5' TERM; while :; do sleep 0.05; done");
      const run = drive(
        this.#task("grace", { container: { ...listening, StopGracePeriod: 5_000_000_000 } }),
      );
      await run.to("running");
      run.task = { ...run.task, DesiredState: "shutdown" };
      await run.to("shutdown");
      assert.equal(run.status.ContainerStatus?.ExitCode, 5);
    });
  }

  async #abortedPrepare(): Promise<void> {
    await this.#with(async ({ executor, inspect }) => {
      const task = this.#task("aborted");
      const controller = executor.controller(task);
      const abort = new AbortController();
      const preparing = controller.prepare(abort.signal).catch(() => {});
      const timer = setTimeout(() => abort.abort(), 5);
      await preparing;
      clearTimeout(timer);
      await controller.remove(AbortSignal.timeout(5_000));
      assert.equal(await inspect(task), undefined);
      assert.deepEqual(await executor.taskIds(AbortSignal.timeout(5_000)), []);
    });
  }

  async #ownOnly(): Promise<void> {
    await this.#with(async ({ drive, executor }) => {
      const run = drive(this.#task("own"));
      await run.to("ready");
      assert.deepEqual(await executor.taskIds(AbortSignal.timeout(5_000)), [run.task.ID]);
      const other = new ExecutorContract(this.#engine);
      await other.#with(async ({ executor: foreign }) => {
        assert.deepEqual(await foreign.taskIds(AbortSignal.timeout(5_000)), []);
        await foreign.removeUnknown(run.task.ID, AbortSignal.timeout(5_000));
      });
      assert.deepEqual(await executor.taskIds(AbortSignal.timeout(5_000)), [run.task.ID]);
      await executor.removeUnknown(run.task.ID, AbortSignal.timeout(5_000));
      assert.deepEqual(await executor.taskIds(AbortSignal.timeout(5_000)), []);
    });
  }

  async #foreignName(): Promise<void> {
    await this.#with(async ({ drive }) => {
      const task = this.#task("named");
      const path = `/containers/create?name=web.1.${task.ID}`;
      const body = { Image: "busybox", Cmd: ["sleep", "1"] };
      const { Id } = await engineJson<{ Id: string }>(this.#engine.api, "POST", path, { body });
      try {
        const run = drive(task);
        await run.to("rejected");
        assert.match(run.status.Err ?? "", /already in use/);
      } finally {
        await engineCall(this.#engine.api, "DELETE", `/containers/${Id}?force=true`);
      }
    });
  }

  #task(name: string, change: Parameters<typeof makeTask>[1] = {}): Task {
    return makeTask(`${name}${serial++}`, { NodeID: this.#nodeId, ...change });
  }

  async #with(
    body: (tools: {
      executor: DockerExecutor;
      drive: (task: Task) => Driven;
      inspect: (task: Task) => Promise<Inspected | undefined>;
    }) => Promise<void>,
    options: { keep?: boolean } = {},
  ): Promise<void> {
    const { api, filesFolder } = this.#engine;
    const executor = new DockerExecutor({
      engine: api,
      logger: silentLogger,
      nodeId: this.#nodeId,
      hostname: undefined,
      files: new TaskFiles(filesFolder, { secret: () => undefined, config: () => undefined }),
    });
    const stop = new AbortController();
    const running = executor.run(stop.signal);
    const inspect = (task: Task) =>
      engineJson<Inspected>(api, "GET", `/containers/web.1.${task.ID}/json`).catch(() => undefined);
    try {
      await executor.describe(AbortSignal.timeout(5_000));
      await body({
        executor,
        drive: (task) => new Driven(task, executor.controller(task)),
        inspect,
      });
    } finally {
      if (!options.keep) {
        for (const id of await executor.taskIds(AbortSignal.timeout(5_000))) {
          await executor.removeUnknown(id, AbortSignal.timeout(20_000));
        }
      }
      stop.abort();
      await running;
    }
  }
}

/** A task that is driven step by step. */
class Driven {
  status: TaskStatus;
  constructor(public task: Task, readonly controller: Controller) {
    this.status = task.Status;
  }

  /** Steps until the state is reached; "state message" of each step. */
  async to(state: TaskState): Promise<string[]> {
    const seen: string[] = [];
    while (this.status.State !== state) {
      const signal = AbortSignal.timeout(20_000);
      const next = await step(this.task, this.status, this.controller, {
        now: () => Date.now(),
        signal,
      });
      assert.ok(next, `stays ${this.status.State} (${this.status.Err}) on the way to ${state}`);
      this.status = next;
      seen.push(`${next.State} ${next.Message}`);
    }
    return seen;
  }
}

function sh(script: string): { Command: string[]; Args: string[] } {
  return { Command: ["sh", "-c"], Args: [script] };
}

function check(script: string) {
  const Interval = 100_000_000;
  return { Test: ["CMD-SHELL", script], Interval, Timeout: 1_000_000_000, Retries: 1 };
}
