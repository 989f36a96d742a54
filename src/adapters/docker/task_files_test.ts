import assert from "node:assert/strict";
import { makeTask } from "../../../tests/support/make_task.ts";
import { TaskFiles } from "./task_files.ts";

const MEMORY = "/dev/shm";
const NODE = { id: "n1", hostname: "h1", architecture: "x86_64", os: "linux" };
const isRoot = Deno.uid() === 0;

const TEMPLATES: Readonly<Record<string, string>> = {
  good: 'host={{.Node.Hostname}} slot={{.Task.Slot}} pw={{ secret "pw" }} ' +
    'conf={{config "app.conf"}} {{if eq (env "MODE") "fast"}}fast{{else}}slow{{end}} {{ env "HOST" }}',
  bad: '{{ secret "other" }}',
};

async function withFiles(body: (files: TaskFiles, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ dir: MEMORY, prefix: "fleet-files-" });
  const files = new TaskFiles(folder, {
    secret: (id) => id === "s1" ? { name: "pw", data: btoa("hunter2") } : undefined,
    config: (id) => {
      if (id === "c1") return { name: "conf", data: btoa("a: b") };
      const text = TEMPLATES[id];
      return text === undefined ? undefined : { name: id, data: btoa(text), template: true };
    },
  });
  try {
    await body(files, folder);
  } finally {
    await files.dispose();
  }
}

const task = makeTask("t1", {
  container: {
    Secrets: [
      { SecretID: "s1", File: { Name: "pw", Mode: 0o400 } },
      { SecretID: "s1", File: { Name: "/abs/pw" } },
    ],
    Configs: [
      { ConfigID: "c1", File: { Name: "app.conf", Mode: 0o444 } },
      { ConfigID: "c2", Runtime: {} },
    ],
  },
});

Deno.test("secrets and configs are written, and may be written again", async () => {
  await withFiles(async (files, folder) => {
    for (let round = 0; round < 2; round++) {
      const mounted = await files.prepare(task, NODE);
      assert.deepEqual(
        mounted.map(({ target }) => target),
        ["/run/secrets/pw", "/abs/pw", "/app.conf"],
      );
      assert.equal(await Deno.readTextFile(mounted[0]!.source), "hunter2");
      assert.equal((await Deno.stat(mounted[0]!.source)).mode! & 0o777, 0o400);
      assert.equal((await Deno.stat(mounted[1]!.source)).mode! & 0o777, 0o444);
      assert.equal((await Deno.stat(`${folder}/t1`)).mode! & 0o777, 0o700);
    }
    assert.deepEqual(await files.taskIds(), ["t1"]);
    await files.remove("t1");
    await files.remove("t1");
    assert.deepEqual(await files.taskIds(), []);
  });
});

Deno.test("what was not sent is named", async () => {
  await withFiles(async (files) => {
    const missing = makeTask("t2", { container: { Secrets: [{ SecretID: "s9", File: {} }] } });
    await assert.rejects(files.prepare(missing, NODE), { kind: "not-found", message: /secret s9/ });
    const named = makeTask("t3", {
      container: { Secrets: [{ SecretID: "s1", File: { UID: "bob" } }] },
    });
    await assert.rejects(files.prepare(named, NODE), {
      kind: "invalid",
      message: /must be a number/,
    });
  });
});

Deno.test("a task without files needs no folder", async () => {
  const files = new TaskFiles("/proc/nowhere", {
    secret: () => undefined,
    config: () => undefined,
  });
  assert.deepEqual(await files.prepare(makeTask("t1"), NODE), []);
  assert.deepEqual(await files.taskIds(), []);
});

Deno.test({
  name: "a folder on a disk gets a tmpfs, which goes with it (needs root to mount)",
  ignore: !isRoot,
  fn: async () => {
    const folder = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "fleet-files-" });
    const files = new TaskFiles(folder, {
      secret: () => ({ name: "pw", data: btoa("x") }),
      config: () => ({ name: "c", data: "" }),
    });
    const mounts = async () => (await Deno.readTextFile("/proc/mounts")).includes(folder);
    await files.prepare(task, NODE);
    assert.ok(await mounts());
    await files.dispose();
    assert.ok(!await mounts());
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
  },
});

Deno.test("templates are expanded for the task, with its own files and variables", async () => {
  await withFiles(async (files) => {
    const use = (id: string) =>
      makeTask("t5", {
        Slot: 3,
        container: {
          ...task.Spec.ContainerSpec,
          Env: ["MODE=fast", "HOST={{.Node.Hostname}}"],
          Configs: [
            { ConfigID: "c1", File: { Name: "app.conf" } },
            { ConfigID: id, File: { Name: "out" } },
          ],
        },
      });
    const mounted = await files.prepare(use("good"), NODE);
    assert.equal(
      await Deno.readTextFile(mounted.at(-1)!.source),
      "host=h1 slot=3 pw=hunter2 conf=a: b fast h1",
    );
    await assert.rejects(files.prepare(use("bad"), NODE), {
      kind: "invalid",
      message: /config bad: .*the task has no secret "other"/,
    });
  });
});
