import assert from "node:assert/strict";
import { makeTask } from "../../../tests/support/make_task.ts";
import { TaskFiles } from "./task_files.ts";

const MEMORY = "/dev/shm";
const isRoot = Deno.uid() === 0;

async function withFiles(body: (files: TaskFiles, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ dir: MEMORY, prefix: "fleet-files-" });
  const files = new TaskFiles(folder, {
    secret: (id) => id === "s1" ? { name: "pw", data: btoa("hunter2") } : undefined,
    config: (id) => id === "c1" ? { name: "conf", data: btoa("a: b") } : undefined,
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
      const mounted = await files.prepare(task);
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
    await assert.rejects(files.prepare(missing), { kind: "not-found", message: /secret s9/ });
    const named = makeTask("t3", {
      container: { Secrets: [{ SecretID: "s1", File: { UID: "bob" } }] },
    });
    await assert.rejects(files.prepare(named), { kind: "invalid", message: /must be a number/ });
  });
});

Deno.test("a task without files needs no folder", async () => {
  const files = new TaskFiles("/proc/nowhere", {
    secret: () => undefined,
    config: () => undefined,
  });
  assert.deepEqual(await files.prepare(makeTask("t1")), []);
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
    await files.prepare(task);
    assert.ok(await mounts());
    await files.dispose();
    assert.ok(!await mounts());
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
  },
});
