import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { decodeChanges } from "../../core/store/codec.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Writer } from "./writer.ts";

/** A log that commits when the test says so. */
class ManualLog {
  readonly store = new MemoryStore();
  readonly waiting: { data: Uint8Array; resolve(index: number): void; reject(e: unknown): void }[] =
    [];
  readonly writer = new Writer({
    store: this.store,
    proposer: {
      propose: (data) =>
        new Promise((resolve, reject) => this.waiting.push({ data, resolve, reject })),
    },
    clock: { now: () => 0, monotonic: () => 0, after: () => () => {} },
  });
  async commitNext(): Promise<number> {
    await settle();
    const next = this.waiting.shift();
    if (!next) return 0;
    const changes = decodeChanges(next.data);
    this.store.apply(this.store.index + 1, changes);
    next.resolve(this.store.index);
    await settle();
    return changes.length;
  }
}
const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};
const secret = (id: string) => ({ ID: id, Spec: { Name: id, Data: "eA==" } });

Deno.test("writers that arrive while an entry is on its way share the next one", async () => {
  const log = new ManualLog();
  const writes = ["a", "b", "c"].map((id, i) =>
    settleAfter(i, () => log.writer.write((tx) => tx.create("secret", secret(id)).ID))
  );
  assert.equal(await log.commitNext(), 1);
  assert.equal(await log.commitNext(), 2);
  assert.deepEqual(await Promise.all(writes), ["a", "b", "c"]);
});

async function settleAfter<T>(i: number, run: () => Promise<T>): Promise<T> {
  if (i > 0) await settle();
  return await run();
}

Deno.test("what a writer throws is its own affair: the others commit", async () => {
  const log = new ManualLog();
  const good = log.writer.write((tx) => tx.create("secret", secret("a")).ID);
  const bad = log.writer.write((tx) => {
    tx.create("secret", secret("b"));
    throw new FleetError("invalid", "no");
  });
  bad.catch(() => {});
  await log.commitNext();
  assert.equal(await good, "a");
  await assert.rejects(bad, { message: "no" });
  assert.equal(log.store.get("secret", "b"), undefined);
});

Deno.test("two writers of one object get two entries, so that a version names one content", async () => {
  const log = new ManualLog();
  const first = log.writer.write((tx) => tx.create("secret", secret("a")));
  await log.commitNext();
  await first;
  const update = (label: string) =>
    log.writer.write((tx) => {
      const current = tx.get("secret", "a")!;
      tx.update("secret", { ...current, Spec: { ...current.Spec, Labels: { label } } });
    });
  const writes = [update("x"), update("y")];
  assert.equal(await log.commitNext(), 1);
  const between = log.store.get("secret", "a")!.Version.Index;
  assert.equal(await log.commitNext(), 1);
  await Promise.all(writes);
  assert.equal(log.store.get("secret", "a")!.Version.Index, between + 1);
});

Deno.test("a refusal that rests on an uncommitted change waits for that change", async () => {
  const log = new ManualLog();
  const first = log.writer.write((tx) => tx.create("secret", secret("a")));
  const second = log.writer.write((tx) =>
    tx.create("secret", { ...secret("b"), Spec: { Name: "a" } })
  );
  second.catch(() => {});
  await settle();
  log.waiting.shift()!.reject(new FleetError("unavailable", "lost the lead"));
  await assert.rejects(first, { kind: "unavailable" });
  await log.commitNext();
  assert.equal((await second).ID, "b");
});

Deno.test("a caller that gave up is skipped", async () => {
  const log = new ManualLog();
  const controller = new AbortController();
  const first = log.writer.write((tx) => tx.create("secret", secret("a")));
  await settle();
  const second = log.writer.write((tx) => tx.create("secret", secret("b")), controller.signal);
  controller.abort(new FleetError("canceled", "gone"));
  await log.commitNext();
  await first;
  await assert.rejects(second, { kind: "canceled" });
  assert.equal(log.store.get("secret", "b"), undefined);
});

Deno.test("writers that are too large for one entry together go one by one", async () => {
  const log = new ManualLog();
  const large = (id: string) => ({ ID: id, Spec: { Name: id, Data: "x".repeat(900 * 1024) } });
  const writes = ["a", "b", "c"].map((id) =>
    log.writer.write((tx) => tx.create("secret", large(id)).ID)
  );
  for (let i = 0; i < 3; i++) assert.equal(await log.commitNext(), 1);
  assert.deepEqual(await Promise.all(writes), ["a", "b", "c"]);
  const small = ["d", "e"].map((id) =>
    log.writer.write((tx) => tx.create("secret", secret(id)).ID)
  );
  assert.equal(await log.commitNext(), 2);
  await Promise.all(small);
});
