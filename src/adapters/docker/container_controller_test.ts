import assert from "node:assert/strict";
import { FakeEngine } from "../../../tests/support/fake_engine.ts";
import { makeTask } from "../../../tests/support/make_task.ts";
import { FleetError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { TemporaryError } from "../../core/task/controller.ts";
import { DockerExecutor } from "./executor.ts";
import { TaskFiles } from "./task_files.ts";

const task = makeTask("t1", {
  Spec: { ContainerSpec: { Image: "busybox" } },
  NetworksAttachments: ["front", "middle", "back"].map((Name, i) => ({
    NetworkID: `n${i}`,
    Name,
    Addresses: [`10.0.${i}.5/24`],
  })),
});

/** A controller of an agent that was just started. */
function controllerOn(engine: FakeEngine, of = task) {
  return new DockerExecutor({
    engine,
    logger: silentLogger,
    nodeId: "node",
    hostname: "host",
    files: new TaskFiles("/nonexistent", { secret: () => undefined, config: () => undefined }),
    overlays: { ready: () => Promise.resolve("10.0.0.1") },
  }).controller(of);
}

Deno.test("a container that was made before a crash is put on the networks that it lacks", async () => {
  const engine = new FakeEngine();
  const { signal } = new AbortController();
  engine.beforeAnswer = (_, path) => {
    if (!path.includes("/networks/back/")) return;
    throw new FleetError("unavailable", "the engine restarts");
  };
  await assert.rejects(controllerOn(engine).prepare(signal), TemporaryError);
  const [container] = engine.containers.values();
  assert.deepEqual(Object.keys(container!.networks), ["front", "middle"]);
  const connected: string[] = [];
  engine.beforeAnswer = (_, path) => {
    if (path.endsWith("/connect")) connected.push(path);
  };
  await controllerOn(engine).prepare(signal);
  assert.deepEqual(Object.keys(container!.networks), ["front", "middle", "back"]);
  assert.deepEqual(connected, ["/networks/back/connect"]);
  assert.equal(engine.containers.size, 1);
});

Deno.test("a container that runs already is left alone", async () => {
  const engine = new FakeEngine();
  const { signal } = new AbortController();
  const first = controllerOn(engine);
  await first.prepare(signal);
  await first.start(signal);
  const [container] = engine.containers.values();
  delete container!.networks["back"];
  await controllerOn(engine).prepare(signal);
  assert.deepEqual(Object.keys(container!.networks), ["front", "middle"]);
});

Deno.test("what a service asks of a network's driver is passed on, wherever the container is put", async () => {
  const engine = new FakeEngine();
  const DriverOpts = { "com.docker.network.endpoint.ifname": "eth7" };
  const networks = task.NetworksAttachments!.map((on) => ({ ...on, DriverOpts }));
  const { signal } = new AbortController();
  await controllerOn(engine, { ...task, NetworksAttachments: networks }).prepare(signal);
  const [container] = engine.containers.values();
  for (const network of ["front", "middle", "back"]) {
    const settings = container!.networks[network] as { DriverOpts?: unknown };
    assert.deepEqual(settings.DriverOpts, DriverOpts, network);
  }
});
