import assert from "node:assert/strict";
import { FleetError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { decodeChanges, encodeChanges } from "../../core/store/codec.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import type { Change, View } from "../../model/view.ts";
import { ManualClock } from "../../../tests/support/manual_clock.ts";
import { runControlLoop } from "./control_loop.ts";
import type { Reconciler } from "./control_loop.ts";

/** A loop over secrets: what `decide` says of each one is done. */
class Rig {
  readonly store = new MemoryStore();
  readonly clock = new ManualClock();
  readonly looks: string[] = [];
  readonly entries: number[] = [];
  readonly stop = new AbortController();
  /** Called before an entry is stored; may throw. */
  onCommit: (changes: readonly Change[]) => void = () => {};
  ended: unknown;

  constructor(
    decide: (view: View, key: string, nowMs: number) => ReturnType<Reconciler["reconcile"]>,
  ) {
    const reconciler: Reconciler = {
      name: "test",
      allKeys: (view) => [...view.all("secret")].map(({ ID }) => ID),
      keysOf: ({ table, object }) => table === "secret" ? [object.ID] : [],
      reconcile: (view, key, nowMs) => {
        this.looks.push(key);
        return decide(view, key, nowMs);
      },
    };
    const { store, clock } = this;
    const commit = async (changes: readonly Change[]) => {
      await Promise.resolve();
      this.onCommit(changes);
      this.entries.push(changes.length);
      this.write((tx) => {
        for (const change of changes) tx.perform(change);
      });
    };
    runControlLoop({ reconciler, store, commit, clock, logger: silentLogger }, this.stop.signal)
      .catch((error: unknown) => this.ended = error);
  }

  write(change: (tx: Transaction) => void): void {
    const tx = new Transaction(this.store, this.clock.now());
    change(tx);
    this.store.apply(this.store.index + 1, decodeChanges(encodeChanges(tx.changes())));
  }

  create(...ids: string[]): void {
    this.write((tx) => {
      for (const ID of ids) tx.create("secret", { ID, Spec: { Name: ID, Data: "eA==" } });
    });
  }

  async pass(ms: number): Promise<void> {
    await settle();
    await this.clock.advance(ms);
    await settle();
  }

  takeLooks(): string[] {
    return this.looks.splice(0);
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

const nothing = { changes: [] };

function label(view: View, key: string, value: string): Change {
  const object = view.get("secret", key)!;
  return {
    op: "update",
    table: "secret",
    object: { ...object, Spec: { ...object.Spec, Labels: { value } } },
  };
}

Deno.test("changes that come together are looked at once", async () => {
  const rig = new Rig(() => nothing);
  rig.create("a", "b");
  rig.create("c");
  await rig.pass(2);
  assert.deepEqual(rig.takeLooks(), ["a", "b", "c"]);
  await rig.pass(100);
  assert.deepEqual(rig.takeLooks(), []);
  rig.create("d");
  await rig.pass(2);
  assert.deepEqual(rig.takeLooks(), ["d"]);
  rig.stop.abort();
  await rig.pass(0);
  assert.ok(rig.ended);
});

Deno.test("a decision's deadline brings the next look, once", async () => {
  let due = 0;
  const rig = new Rig((_view, _key, nowMs) =>
    nowMs < due ? { ...nothing, wakeAtMs: due } : nothing
  );
  due = rig.clock.now() + 1_000;
  rig.create("a");
  await rig.pass(2);
  assert.deepEqual(rig.takeLooks(), ["a"]);
  await rig.pass(900);
  assert.deepEqual(rig.takeLooks(), []);
  await rig.pass(100);
  assert.deepEqual(rig.takeLooks(), ["a"]);
  await rig.pass(10_000);
  assert.deepEqual(rig.takeLooks(), []);
});

Deno.test("a deadline is kept while other objects change without pause", async () => {
  let due = 0;
  const rig = new Rig((_view, key, nowMs) =>
    key === "a" && nowMs < due ? { ...nothing, wakeAtMs: due } : nothing
  );
  due = rig.clock.now() + 100;
  rig.create("a");
  for (let i = 0; i < 60; i++) {
    rig.create(`busy${i}`);
    await rig.pass(2);
  }
  assert.equal(rig.takeLooks().filter((key) => key === "a").length, 2);
});

Deno.test("who was overtaken looks again at what is there now", async () => {
  const rig = new Rig((view, key) =>
    view.get("secret", key)?.Spec.Labels?.["value"] === "done"
      ? nothing
      : { changes: [label(view, key, "done")] }
  );
  let overtaken = false;
  rig.onCommit = () => {
    if (overtaken) return;
    overtaken = true;
    rig.write((tx) => tx.perform(label(rig.store, "a", "other")));
  };
  rig.create("a");
  for (let i = 0; i < 5; i++) await rig.pass(2);
  assert.equal(rig.store.get("secret", "a")?.Spec.Labels?.["value"], "done");
  assert.equal(rig.ended, undefined);
});

Deno.test("entries are bounded by number and, when they are refused, by size", async () => {
  const rig = new Rig((view, key) =>
    view.get("secret", key)?.Spec.Labels ? nothing : { changes: [label(view, key, "x")] }
  );
  rig.onCommit = (changes) => {
    if (changes.length > 60) throw new FleetError("invalid", "the change needs too many bytes");
  };
  rig.create(...Array.from({ length: 450 }, (_, i) => `s${String(i).padStart(3, "0")}`));
  for (let i = 0; i < 10; i++) await rig.pass(2);
  assert.equal(rig.entries.reduce((sum, count) => sum + count, 0), 450);
  assert.ok(Math.max(...rig.entries) <= 60);
});

Deno.test("a leader that leads no more ends its loops", async () => {
  const rig = new Rig((view, key) => ({ changes: [label(view, key, "x")] }));
  rig.onCommit = () => {
    throw new FleetError("unavailable", "not the leader");
  };
  rig.create("a");
  await rig.pass(2);
  assert.match(String(rig.ended), /not the leader/);
});

Deno.test("after a long rest everything is looked at again", async () => {
  const rig = new Rig(() => nothing);
  rig.create("a");
  await rig.pass(2);
  rig.takeLooks();
  await rig.pass(60_000);
  await rig.pass(2);
  assert.deepEqual(rig.takeLooks(), ["a"]);
});
