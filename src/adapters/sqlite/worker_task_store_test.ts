import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryTaskStore } from "../../roles/agent/task_store.ts";
import type { TaskStore } from "../../roles/agent/task_store.ts";
import type { Task, TaskStatus } from "../../model/task.ts";
import { withFolder } from "./test_support.ts";
import { WorkerTaskStore } from "./worker_task_store.ts";

const KEY = new Uint8Array(32).fill(9);
// The store looks at nothing but the id.
const task = (ID: string, word = "x") => ({ ID, Spec: { word } }) as unknown as Task;
const status = (Message: string) => ({ State: "running", Message }) as unknown as TaskStatus;

/** What every store of tasks does; `again` is what a restarted agent opens. */
async function contract(store: TaskStore, again: () => TaskStore): Promise<void> {
  store.replace([task("b"), task("a")], []);
  store.setStatuses([{ id: "a", status: status("one") }, { id: "gone", status: status("?") }]);
  store.replace([task("a", "y"), task("c")], ["b", "never"]);
  store.replace([], []);
  store.setStatuses([]);
  assert.deepEqual(await again().list(), [
    { task: task("a", "y"), status: status("one") },
    { task: task("c"), status: undefined },
  ]);
}

Deno.test("tasks in memory keep the contract", async () => {
  const store = new MemoryTaskStore();
  await contract(store, () => store);
});

Deno.test("tasks on disk keep the contract over a restart", () =>
  withFolder(async (folder) => {
    const path = `${folder}/worker.db`;
    let store = WorkerTaskStore.open(path, KEY);
    await contract(store, () => {
      store.close();
      return store = WorkerTaskStore.open(path, KEY);
    });
    store.close();
  }));

Deno.test("a record that was changed or moved is named, and nothing is readable on disk", () =>
  withFolder(async (folder) => {
    const path = `${folder}/worker.db`;
    const store = WorkerTaskStore.open(path, KEY);
    store.replace([task("a", "secret word"), task("b")], []);
    store.setStatuses([{ id: "a", status: status("secret word") }]);
    store.close();
    assert.ok(!new TextDecoder().decode(Deno.readFileSync(path)).includes("secret word"));
    const raw = new DatabaseSync(path);
    raw.exec("UPDATE worker_task SET record = (SELECT record FROM worker_task WHERE id = 'a')");
    raw.close();
    const again = WorkerTaskStore.open(path, KEY);
    await assert.rejects(again.list(), { kind: "corrupt", message: /record of task b is damaged/ });
    again.close();
  }));
