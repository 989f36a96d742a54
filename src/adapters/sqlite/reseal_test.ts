import assert from "node:assert/strict";
import type { Task, TaskStatus } from "../../model/task.ts";
import { RecordKeys } from "../crypto/record_keys.ts";
import { RaftLogStore } from "./raft_log_store.ts";
import { withFolder } from "./test_support.ts";
import { WorkerTaskStore } from "./worker_task_store.ts";

const OLD = new Uint8Array(32).fill(1);
const NEW = new Uint8Array(32).fill(2);
const entry = (index: number) => ({
  index,
  term: 1,
  type: "normal" as const,
  data: new TextEncoder().encode(`entry ${index}`),
});
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A log of 500 entries over a snapshot of two parts, with a record of the others. */
async function fill(log: RaftLogStore): Promise<void> {
  const entries = Array.from({ length: 500 }, (_, i) => entry(i + 1));
  log.append({ entries, hardState: { term: 1, vote: "m1", commit: 500 }, snapshot: undefined });
  const data = new Uint8Array(1_100_000).fill(7);
  const conf = { voters: ["m1"], learners: [] };
  await log.saveSnapshot({ meta: { index: 50, term: 1, conf }, data }, 20);
  log.keepMemory({ m2: 1 }, true);
}

function check(path: string, keys: RecordKeys | Uint8Array, last: number): void {
  const log = RaftLogStore.open(path, keys);
  assert.deepEqual([log.firstIndex(), log.lastIndex()], [20, last]);
  const [found] = log.entries(300, 301, 1_000);
  assert.equal(text(found!.data), "entry 300");
  assert.equal(log.snapshot()!.data.length, 1_100_000);
  assert.deepEqual(log.memory(), { m2: 1 });
  assert.equal(log.initialState().hardState.vote, "m1");
  log.close();
}

Deno.test("a log is sealed anew while it is written to; then the old key opens nothing", () =>
  withFolder(async (folder) => {
    const path = `${folder}/raft.db`;
    const keys = new RecordKeys(OLD);
    const log = RaftLogStore.create(path, keys);
    await fill(log);
    keys.rotate(NEW);
    const done = log.reseal();
    for (let index = 501; index <= 520; index++) {
      log.append({ entries: [entry(index)], hardState: undefined, snapshot: undefined });
      await Promise.resolve();
    }
    assert.equal(await done, true);
    log.close();
    check(path, NEW, 520);
    assert.throws(() => RaftLogStore.open(path, OLD), { kind: "corrupt" });
  }));

Deno.test("a log that was closed half-way opens with both keys, and with neither alone", () =>
  withFolder(async (folder) => {
    const path = `${folder}/raft.db`;
    const keys = new RecordKeys(OLD);
    const log = RaftLogStore.create(path, keys);
    await fill(log);
    keys.rotate(NEW);
    const done = log.reseal();
    log.close();
    assert.equal(await done, false);
    for (const one of [OLD, NEW]) {
      assert.throws(() => RaftLogStore.open(path, one), { kind: "corrupt" });
    }
    check(path, new RecordKeys(NEW, OLD), 500);
    const again = RaftLogStore.open(path, new RecordKeys(NEW, OLD));
    assert.equal(await again.reseal(), true);
    again.close();
    check(path, NEW, 500);
  }));

Deno.test("tasks are sealed anew with their states", () =>
  withFolder(async (folder) => {
    const path = `${folder}/worker.db`;
    const keys = new RecordKeys(OLD);
    const store = WorkerTaskStore.open(path, keys);
    const task = (ID: string) => ({ ID }) as unknown as Task;
    const status = { State: "running" } as unknown as TaskStatus;
    store.replace([task("a"), task("b")], []);
    store.setStatuses([{ id: "a", status }]);
    keys.rotate(NEW);
    assert.equal(await store.reseal(), true);
    store.close();
    assert.equal(await store.reseal(), false);
    const again = WorkerTaskStore.open(path, NEW);
    assert.deepEqual(await again.list(), [
      { task: task("a"), status },
      { task: task("b"), status: undefined },
    ]);
    again.close();
  }));
