import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import type { StateFiles } from "./data_directory.ts";
import { SealableFiles } from "./sealable_files.ts";

function memory(): StateFiles & { readonly held: Map<string, string> } {
  const held = new Map<string, string>();
  return {
    held,
    read: (name) => held.get(name),
    write: (name, text) => void held.set(name, text),
    remove: (name) => void held.delete(name),
  };
}

const key = (byte: number) => new Uint8Array(32).fill(byte);

function sealed() {
  const disk = memory();
  disk.write("node.json", "{}");
  disk.write("node.key", "PRIVATE");
  disk.write("data.key", "DATA");
  const files = new SealableFiles(disk);
  files.setUnlockKey(key(1));
  return { disk, files };
}

Deno.test("sealed keys: nothing of them is on disk, and who has them in memory goes on", () => {
  const { disk, files } = sealed();
  deepStrictEqual([...disk.held.keys()].sort(), ["keys.sealed", "node.json"]);
  ok(!/PRIVATE|DATA/.test([...disk.held.values()].join()));
  strictEqual(files.read("node.key"), "PRIVATE");
  files.write("node.key", "RENEWED");
  ok(!disk.held.has("node.key"));
  strictEqual(files.locked, false);
});

Deno.test("sealed keys: a restart is locked until the right key comes", () => {
  const { disk } = sealed();
  const again = new SealableFiles(disk);
  ok(again.locked);
  throws(() => again.read("data.key"), /data\.key is sealed: unlock this manager first/);
  strictEqual(again.read("node.json"), "{}");
  throws(() => again.unlock(key(2)), /could not be unlocked: invalid key provided/);
  ok(again.locked);
  again.unlock(key(1));
  strictEqual(again.read("data.key"), "DATA");
});

Deno.test("sealed keys: another key takes the old one's place, none brings the files back", () => {
  const { disk, files } = sealed();
  files.setUnlockKey(key(3));
  const again = new SealableFiles(disk);
  throws(() => again.unlock(key(1)), /invalid key/);
  again.unlock(key(3));
  again.setUnlockKey(undefined);
  deepStrictEqual([...disk.held.keys()].sort(), ["data.key", "node.json", "node.key"]);
  strictEqual(new SealableFiles(disk).locked, false);
});

Deno.test("sealed keys: a crash between sealing and removing is made good by unlocking", () => {
  const { disk } = sealed();
  disk.write("node.key", "left");
  const again = new SealableFiles(disk);
  ok(again.locked);
  again.unlock(key(1));
  ok(!disk.held.has("node.key"));
  strictEqual(again.read("node.key"), "PRIVATE");
});

Deno.test("sealed keys: a node that leaves forgets the lock too", () => {
  const { disk } = sealed();
  const again = new SealableFiles(disk);
  for (const name of ["node.json", "node.key"]) again.remove(name);
  deepStrictEqual([...disk.held.keys()], []);
  strictEqual(again.locked, false);
});
