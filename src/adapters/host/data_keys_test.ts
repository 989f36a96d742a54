import assert from "node:assert/strict";
import { silentLogger } from "../../base/log.ts";
import { dataKeys } from "./data_directory.ts";
import type { StateFiles } from "./data_directory.ts";
import { DataKeys } from "./data_keys.ts";

/** Files in memory, databases that are sealed anew by hand, and a process that can start again. */
function world() {
  const texts = new Map<string, string>();
  const files: StateFiles = {
    read: (name) => texts.get(name),
    write: (name, text) => void texts.set(name, text),
    remove: (name) => void texts.delete(name),
  };
  const present = new Set<string>();
  const start = () =>
    new DataKeys({
      files,
      paths: ["raft", "worker"],
      exists: (path) => present.has(path),
      logger: silentLogger,
    });
  /** What is on the disk: the key, and the one before if any. */
  const stored = () => {
    const { current, previous } = dataKeys(files, { mayCreate: false });
    return { current: current.toHex(), previous: previous?.toHex() };
  };
  return { texts, present, start, stored };
}

function database(answer: () => Promise<boolean> = () => Promise.resolve(true)) {
  return { closed: false, count: 0, reseal: () => answer() };
}

Deno.test("both keys are on the disk while records are sealed anew, then only the new one", async () => {
  const { present, start, stored } = world();
  const keys = start();
  const old = keys.keys().current.toHex();
  present.add("raft").add("worker");
  let during: ReturnType<typeof stored> | undefined;
  keys.opened("raft", database(() => Promise.resolve(true)));
  keys.opened(
    "worker",
    database(() => {
      during = stored();
      return Promise.resolve(true);
    }),
  );
  await keys.rotate();
  assert.equal(during?.previous, old);
  assert.notEqual(during?.current, old);
  assert.deepEqual(stored(), { current: during!.current, previous: undefined });
  assert.equal(keys.keys().current.toHex(), during!.current);
});

Deno.test("what a crash left is taken up when the databases are open again", async () => {
  const { present, start, stored } = world();
  const first = start();
  first.keys();
  present.add("raft").add("worker");
  first.opened("raft", database());
  first.opened("worker", database(() => Promise.reject(new Error("no space left"))));
  await first.rotate();
  const { current, previous } = stored();
  assert.notEqual(previous, undefined);
  // Another change waits until this one can end; it must not lose the oldest key.
  await first.rotate();
  assert.deepEqual(stored(), { current, previous });
  const second = start();
  assert.equal(second.keys().previous?.toHex(), previous);
  second.opened("raft", database());
  second.opened("worker", database());
  await second.rotate();
  assert.equal(stored().previous, undefined);
  assert.notEqual(stored().current, current);
});

Deno.test("a database that is not there has no records; one that is closed has", async () => {
  const { present, start, stored } = world();
  const keys = start();
  keys.keys();
  present.add("raft");
  const raft = keys.opened("raft", database());
  await keys.rotate();
  assert.equal(stored().previous, undefined);
  raft.closed = true;
  await keys.rotate();
  assert.notEqual(stored().previous, undefined);
});

Deno.test("a node that has left keeps no database that nothing opens, and all that something does", () => {
  for (const text of [undefined, "damaged"]) {
    const { texts, present, start } = world();
    if (text !== undefined) texts.set("data.key", text);
    present.add("worker");
    const keys = start();
    assert.throws(() => keys.keys(), { kind: "corrupt" });
    keys.forgetUnreadable((path) => present.delete(path));
    assert.deepEqual([...present], []);
    keys.keys();
  }
  const { present, start } = world();
  start().keys();
  present.add("worker");
  start().forgetUnreadable((path) => present.delete(path));
  assert.deepEqual([...present], ["worker"]);
});
