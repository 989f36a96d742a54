import assert from "node:assert/strict";
import { guardPath, placesOf, stage, swap, TRIAL_STARTS } from "./swap.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fleet-swap-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

Deno.test("an executable that was staged by an agent that died does not stay", async () => {
  await withFolder(async (folder) => {
    const executable = `${folder}/fleet`;
    await Deno.writeTextFile(executable, "old");
    await stage(executable, new TextEncoder().encode("cut short"));
    const path = await stage(executable, new TextEncoder().encode("new"));
    assert.deepEqual((await names(folder)).map((name) => `${folder}/${name}`), [path, executable]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o755);
  });
});

Deno.test("an executable that never comes up is put away by the guard, and only once", async () => {
  await withFolder(async (folder) => {
    const executable = `${folder}/fleet`;
    const { trial, previous, rolledBack } = placesOf(executable);
    await Deno.writeTextFile(executable, "#!/bin/sh\necho old\n", { mode: 0o755 });
    const start = async () => {
      await new Deno.Command("/bin/sh", { args: [guardPath(folder)], stderr: "null" }).output();
      return await Deno.readTextFile(executable);
    };
    const staged = await stage(executable, new TextEncoder().encode("#!/bin/sh\nexit 1\n"));
    await swap(executable, staged, "2.0.0", folder);
    assert.equal(await Deno.readTextFile(trial), "2.0.0 0\n");
    for (let i = 1; i <= TRIAL_STARTS; i++) assert.match(await start(), /exit 1/);
    assert.match(await start(), /echo old/);
    assert.equal(await Deno.readTextFile(rolledBack), "2.0.0 3\n");
    assert.deepEqual(
      [await start(), await Deno.stat(previous).catch(() => undefined)],
      ["#!/bin/sh\necho old\n", undefined],
    );
  });
});
