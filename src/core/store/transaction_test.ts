import assert from "node:assert/strict";
import fc from "fast-check";
import type { Secret } from "../../model/secret.ts";
import type { Task } from "../../model/task.ts";
import { decodeChanges, decodeSnapshot, encodeChanges, encodeSnapshot } from "./codec.ts";
import { MemoryStore } from "./memory_store.ts";
import { Transaction } from "./transaction.ts";

const NOW = Date.UTC(2026, 0, 1);

/** Runs `change` in a transaction and applies it through the log's encoding. */
function commit(store: MemoryStore, change: (tx: Transaction) => void): void {
  const tx = new Transaction(store, NOW);
  change(tx);
  store.apply(store.index + 1, decodeChanges(encodeChanges(tx.changes())));
}

const secret = (id: string, name: string) => ({ ID: id, Spec: { Name: name, Data: "eA==" } });
const task = (id: string, serviceId: string, nodeId?: string) => ({
  ID: id,
  Spec: {},
  ServiceID: serviceId,
  ...(nodeId ? { NodeID: nodeId } : {}),
  Status: { State: "new" as const },
  DesiredState: "running" as const,
});

Deno.test("an object's version is the index of the entry that changed it last", () => {
  const store = new MemoryStore();
  commit(store, (tx) => tx.create("secret", secret("a", "one")));
  commit(store, (tx) => tx.create("secret", secret("b", "two")));
  assert.equal(store.get("secret", "a")?.Version.Index, 1);
  commit(store, (tx) => tx.update("secret", tx.get("secret", "a")!));
  assert.equal(store.get("secret", "a")?.Version.Index, 3);
  assert.equal(store.get("secret", "a")?.CreatedAt, "2026-01-01T00:00:00.000Z");
});

Deno.test("a writer that read an older version is refused", () => {
  const store = new MemoryStore();
  commit(store, (tx) => tx.create("secret", secret("a", "one")));
  const seen = store.get("secret", "a")!;
  commit(store, (tx) => tx.update("secret", seen));
  assert.throws(() => new Transaction(store, NOW).update("secret", seen), {
    kind: "out-of-sequence",
  });
});

Deno.test("names are unique without regard to case, and free again after removal", () => {
  const store = new MemoryStore();
  commit(store, (tx) => tx.create("secret", secret("a", "Web")));
  const tx = new Transaction(store, NOW);
  assert.throws(() => tx.create("secret", secret("b", "wEB")), { kind: "conflict" });
  tx.remove("secret", "a");
  tx.create("secret", secret("b", "wEB"));
  assert.equal(tx.byName("secret", "web")?.ID, "b");
  assert.equal(store.byName("secret", "web")?.ID, "a");
});

Deno.test("a transaction sees its own changes in every way of reading", () => {
  const store = new MemoryStore();
  commit(store, (tx) => {
    tx.create("task", task("t1", "s"));
    tx.create("task", task("t2", "s"));
  });
  const tx = new Transaction(store, NOW);
  tx.update("task", { ...tx.get("task", "t1")!, NodeID: "n" });
  tx.remove("task", "t2");
  tx.create("task", task("t3", "s", "n"));
  const ids = (tasks: Iterable<Task>) => [...tasks].map(({ ID }) => ID).sort();
  assert.deepEqual(ids(tx.tasksOfService("s")), ["t1", "t3"]);
  assert.deepEqual(ids(tx.tasksOfNode("n")), ["t1", "t3"]);
  assert.equal(tx.count("task"), 2);
  assert.deepEqual(ids(store.tasksOfNode("n")), []);
});

Deno.test("a task that moves leaves the index of its old node", () => {
  const store = new MemoryStore();
  commit(store, (tx) => tx.create("task", task("t", "s", "n1")));
  commit(store, (tx) => tx.update("task", { ...tx.get("task", "t")!, NodeID: "n2" }));
  assert.equal([...store.tasksOfNode("n1")].length, 0);
  assert.equal([...store.tasksOfNode("n2")].length, 1);
});

Deno.test("equal changes encode to equal bytes whatever order their fields were written in", () => {
  const one = { ID: "a", Spec: { Name: "n", Labels: { b: "2", a: "1" } } };
  const two = { Spec: { Labels: { a: "1", b: "2" }, Name: "n" }, ID: "a" };
  const encode = (object: typeof one) => {
    const tx = new Transaction(new MemoryStore(), NOW);
    tx.create("secret", object);
    return encodeChanges(tx.changes());
  };
  assert.deepEqual(encode(one), encode(two));
});

Deno.test("an entry beyond the limit is refused before it reaches the log", () => {
  const tx = new Transaction(new MemoryStore(), NOW);
  for (let i = 0; i < 5; i++) {
    tx.create("config", { ID: `c${i}`, Spec: { Name: `c${i}`, Data: "A".repeat(400_000) } });
  }
  assert.throws(() => encodeChanges(tx.changes()), {
    kind: "invalid",
    message: /bytes in the log/,
  });
});

Deno.test("bytes of an unknown format are named, not guessed at", () => {
  assert.throws(() => decodeChanges(new Uint8Array([9, 123])), {
    kind: "corrupt",
    message: /format 9/,
  });
});

Deno.test("a snapshot restores the same state on another replica", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({
        op: fc.constantFrom("create", "update", "remove"),
        id: fc.constantFrom("a", "b", "c", "d"),
        label: fc.string(),
      })),
      async (steps) => {
        const store = new MemoryStore();
        for (const { op, id, label } of steps) {
          const tx = new Transaction(store, NOW);
          const current: Secret | undefined = tx.get("secret", id);
          if (op === "create" && !current) tx.create("secret", secret(id, id));
          else if (op === "update" && current) {
            tx.update("secret", { ...current, Spec: { ...current.Spec, Labels: { label } } });
          } else if (op === "remove" && current) tx.remove("secret", id);
          if (tx.size > 0) store.apply(store.index + 1, decodeChanges(encodeChanges(tx.changes())));
        }
        const bytes = await encodeSnapshot(store.capture(), () => Promise.resolve());
        const copy = new MemoryStore();
        const { index, tables } = decodeSnapshot(bytes);
        copy.restore(index, tables);
        assert.deepEqual(await encodeSnapshot(copy.capture(), () => Promise.resolve()), bytes);
      },
    ),
    { numRuns: 50 },
  );
});
