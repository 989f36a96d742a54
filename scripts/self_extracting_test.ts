import assert from "node:assert/strict";
import { packSelfExtracting } from "./self_extracting.ts";

/** Packs a stand-in for Deno that prints what it is called with, and runs `body` in that folder. */
async function withPackage(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/app`);
    await Deno.writeTextFile(`${folder}/app/main.js`, "the bundle");
    const script = '#!/bin/sh\necho "$@"\ncat "${2}"\necho " $FLEET_EXECUTABLE"\nexit 3\n';
    await Deno.writeTextFile(`${folder}/deno`, script, { mode: 0o755 });
    await packSelfExtracting({
      deno: `${folder}/deno`,
      app: `${folder}/app`,
      flags: ["run"],
      output: `${folder}/fleet`,
      cache: `${folder}/build`,
    });
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function start(folder: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(`${folder}/fleet`, {
    args,
    env: { FLEET_CACHE_DIR: `${folder}/cache` },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function unpacked(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(`${folder}/cache`))).map((entry) => entry.name).sort();
}

function expectRun({ code, stdout, stderr }: Awaited<ReturnType<typeof start>>, folder: string) {
  assert.equal(stderr, "");
  assert.equal(code, 3, "the program's own exit code");
  assert.match(stdout, new RegExp(`main.js a b  c\nthe bundle ${folder}/fleet\n$`));
}

Deno.test("first runs at once unpack once, and all of them run", async () => {
  await withPackage(async (folder) => {
    const runs = await Promise.all(Array.from({ length: 8 }, () => start(folder, "a", "b  c")));
    for (const run of runs) expectRun(run, folder);
    const names = await unpacked(folder);
    assert.equal(names.length, 2, names.join(" "));
    assert.match(names.join(" "), /^app-[0-9a-f]{16} deno-[0-9a-f]{16}$/);
    expectRun(await start(folder, "a", "b  c"), folder);
  });
});

Deno.test("a folder that is not complete is never used", async () => {
  await withPackage(async (folder) => {
    await start(folder);
    for (const name of await unpacked(folder)) {
      await Deno.remove(`${folder}/cache/${name}/.complete`);
      await Deno.writeTextFile(`${folder}/cache/${name}/${name.split("-")[0]}`, "half");
    }
    expectRun(await start(folder, "a", "b  c"), folder);
    assert.equal((await unpacked(folder)).length, 2);
  });
});

Deno.test("a damaged file says so and leaves nothing behind", async () => {
  await withPackage(async (folder) => {
    const bytes = await Deno.readFile(`${folder}/fleet`);
    await Deno.writeFile(`${folder}/fleet`, bytes.subarray(0, -40));
    const { code, stderr } = await start(folder);
    assert.equal(code, 1);
    assert.match(stderr, /fleet: cannot unpack into .*: is the disk full, or .*\/fleet damaged\?/);
    assert.equal((await unpacked(folder)).filter((name) => !name.startsWith("app-")).length, 0);
  });
});

Deno.test("another build of the program shares Deno with this one", async () => {
  await withPackage(async (folder) => {
    await start(folder);
    await Deno.writeTextFile(`${folder}/app/main.js`, "another bundle");
    await packSelfExtracting({
      deno: `${folder}/deno`,
      app: `${folder}/app`,
      flags: ["run"],
      output: `${folder}/fleet`,
      cache: `${folder}/build`,
    });
    assert.match((await start(folder)).stdout, /another bundle/);
    const kinds = (await unpacked(folder)).map((name) => name.split("-")[0]);
    assert.deepEqual(kinds, ["app", "app", "deno"]);
  });
});
