import assert from "node:assert/strict";
import { parseUnlockKey } from "../../core/pki/unlock_key.ts";
import { dataKey, ensurePrivateDirectory, lockDirectory, stateFiles } from "./data_directory.ts";

async function withFolder(run: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "data_directory_test_" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a data directory is made for its user alone, and a looser one is refused", () =>
  withFolder((folder) => {
    const path = `${folder}/a/b`;
    ensurePrivateDirectory(path);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o700);
    ensurePrivateDirectory(path);
    for (const mode of [0o750, 0o701, 0o777]) {
      Deno.chmodSync(path, mode);
      assert.throws(() => ensurePrivateDirectory(path), {
        kind: "forbidden",
        message: `${path} is open to others (mode ${
          mode.toString(8)
        }): chmod 700 ${path}, or start with --allow-loose-modes`,
      });
      ensurePrivateDirectory(path, { allowLooseModes: true });
    }
    Deno.writeTextFileSync(`${folder}/file`, "");
    assert.throws(() => ensurePrivateDirectory(`${folder}/file`), { kind: "invalid" });
    assert.throws(() => ensurePrivateDirectory(`${folder}/file/x`), { kind: "forbidden" });
  }));

/** A process that locks `folder`, says so or why not, and waits for its end. */
function locker(folder: string): Deno.ChildProcess {
  const module = new URL("./data_directory.ts", import.meta.url).href;
  const code = `
    import { lockDirectory } from ${JSON.stringify(module)};
    try { lockDirectory(${JSON.stringify(folder)}); console.log("locked"); }
    catch (error) { console.log(error.kind + ": " + error.message); Deno.exit(1); }
    await Deno.stdin.read(new Uint8Array(1));
  `;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `data:application/typescript,${encodeURIComponent(code)}`],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function firstLine(process: Deno.ChildProcess): Promise<string> {
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value).trim();
}

Deno.test("one process holds a data directory; the lock goes with it, even by kill -9", () =>
  withFolder(async (folder) => {
    const first = locker(folder);
    assert.equal(await firstLine(first), "locked");
    const second = locker(folder);
    assert.equal(
      await firstLine(second),
      `conflict: ${folder} is in use by another fleet agent (pid ${first.pid}); stop it, or choose another --data-dir`,
    );
    assert.equal((await second.status).code, 1);
    await second.stdin.close();
    await second.stdout.cancel();
    first.kill("SIGKILL");
    await first.status;
    await first.stdin.close().catch(() => {});
    await first.stdout.cancel();
    const lock = lockDirectory(folder);
    assert.equal(Deno.readTextFileSync(`${folder}/lock`), `${Deno.pid}\n`);
    lock.release();
    lockDirectory(folder).release();
  }));

Deno.test("a state file is replaced whole, for its user alone", () =>
  withFolder((folder) => {
    const files = stateFiles(folder);
    assert.equal(files.read("a"), undefined);
    files.write("a", "one");
    files.write("a", "two");
    assert.equal(files.read("a"), "two");
    assert.equal(Deno.statSync(`${folder}/a`).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["a"]);
    files.remove("a");
    files.remove("a");
    assert.equal(files.read("a"), undefined);
    assert.throws(() => stateFiles(`${folder}/nowhere`).write("a", ""), { kind: "unavailable" });
  }));

Deno.test("a key that others may read is refused", () =>
  withFolder((folder) => {
    const files = stateFiles(folder);
    files.write("node.key", "secret");
    assert.equal(files.read("node.key"), "secret");
    Deno.chmodSync(`${folder}/node.key`, 0o640);
    assert.throws(() => files.read("node.key"), {
      kind: "forbidden",
      message: /node\.key is open to others \(mode 640\): chmod 600/,
    });
  }));

Deno.test("the data key is made once, and never anew where it must be there", () =>
  withFolder((folder) => {
    const files = stateFiles(folder);
    assert.throws(() => dataKey(files, { mayCreate: false }), {
      kind: "corrupt",
      message: /data\.key is missing/,
    });
    const key = dataKey(files, { mayCreate: true });
    assert.equal(key.length, 32);
    assert.deepEqual(dataKey(files, { mayCreate: false }), key);
    Deno.writeTextFileSync(`${folder}/data.key`, "x");
    assert.throws(() => dataKey(files, { mayCreate: true }), { kind: "corrupt" });
  }));

Deno.test("a data key under an unlock key needs it", () =>
  withFolder((folder) => {
    const files = stateFiles(folder);
    const unlockKey = parseUnlockKey(`SWMKEY-1-${"A".repeat(43)}`);
    const key = dataKey(files, { mayCreate: true, unlockKey });
    assert.throws(() => dataKey(files, { mayCreate: false }), {
      kind: "unavailable",
      message: /locked: run fleet unlock/,
    });
    assert.deepEqual(dataKey(files, { mayCreate: false, unlockKey }), key);
  }));
