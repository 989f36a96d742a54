import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Logger } from "../../base/log.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import { SUPERSEDED_LABEL } from "../../model/file_versions.ts";
import { allocatorReconciler, supersededReconciler } from "./reconcilers.ts";

Deno.test("people are warned once when four fifths of a network's addresses are given out", () => {
  const store = new MemoryStore();
  const said: unknown[] = [];
  const logger = {
    log: (level: string, message: string, fields: unknown) => said.push([level, message, fields]),
  } as unknown as Logger;
  const reconciler = allocatorReconciler(logger);
  store.onApply((changes) => {
    for (const change of changes) [...reconciler.keysOf(change, store)];
  });
  const write = (change: (tx: Transaction) => void) => {
    const tx = new Transaction(store, 0);
    change(tx);
    store.apply(store.index + 1, tx.changes());
  };
  const look = () => {
    const { changes } = reconciler.reconcile(store, "", 0);
    write((tx) => {
      for (const change of changes) tx.perform(change);
    });
    reconciler.reconcile(store, "", 0);
  };
  const task = (ID: string) =>
    write((tx) =>
      tx.create("task", {
        ID,
        ServiceID: "s",
        Spec: {},
        Status: { State: "new" },
        DesiredState: "running",
        NetworksAttachments: [{ NetworkID: "net", Name: "back" }],
      })
    );
  [...reconciler.allKeys(store)];
  // Five addresses beside the gateway's.
  write((tx) =>
    tx.create("network", {
      ID: "net",
      Spec: { Name: "back", Driver: { Name: "overlay" } },
      IPAMOptions: { Config: [{ Subnet: "10.0.0.0/29", Gateway: "10.0.0.1" }] },
      VNI: 4096,
    })
  );
  for (const id of ["a", "b", "c"]) task(id);
  look();
  deepStrictEqual(said, []);
  task("d");
  look();
  const warning = ["warn", "network back is running out of addresses", {
    network: "net",
    used: 4,
    nodes: 0,
    capacity: 5,
  }];
  deepStrictEqual(said, [warning]);
  task("e");
  look();
  deepStrictEqual(said, [warning], "once");
  write((tx) => {
    for (const id of ["a", "b", "c"]) tx.remove("task", id);
  });
  look();
  for (const id of ["f", "g"]) task(id);
  look();
  deepStrictEqual(said, [warning, warning], "and again when it had got better");
});

Deno.test("an old version is kept for a while after its last use: a client may have just listed it", () => {
  const store = new MemoryStore();
  const reconciler = supersededReconciler();
  const woken: string[] = [];
  store.onApply((changes) => {
    for (const change of changes) woken.push(...reconciler.keysOf(change, store));
  });
  const write = (change: (tx: Transaction) => void) => {
    const tx = new Transaction(store, 0);
    change(tx);
    store.apply(store.index + 1, tx.changes());
  };
  const service = (ID: string) => ({
    ID,
    Spec: {
      Name: ID,
      TaskTemplate: { ContainerSpec: { Image: "x", Configs: [{ ConfigID: "old" }] } },
    },
  });
  const look = (nowMs: number) => {
    // A full look in between changes nothing.
    const [key] = reconciler.allKeys(store);
    return reconciler.reconcile(store, key ?? "config old", nowMs);
  };
  write((tx) => {
    tx.create("config", {
      ID: "old",
      Spec: { Name: "site.v1", Labels: { [SUPERSEDED_LABEL]: "new" } },
    });
    tx.create("service", service("web"));
  });
  deepStrictEqual(look(0).changes, [], "in use");
  woken.length = 0;
  write((tx) => tx.remove("service", "web"));
  deepStrictEqual(woken, ["config old"]);
  const { changes, wakeAtMs } = look(1000);
  deepStrictEqual(changes, []);
  strictEqual(wakeAtMs, 21_000);
  deepStrictEqual(look(20_999), { changes: [], wakeAtMs: 21_000 });
  // Used again, by a service that was rolled back, say: the wait begins anew.
  write((tx) => tx.create("service", service("again")));
  deepStrictEqual(look(30_000).changes, []);
  write((tx) => tx.remove("service", "again"));
  strictEqual(look(40_000).wakeAtMs, 60_000);
  // A clock that was put back by an hour does not keep it for an hour.
  strictEqual(look(10_000).wakeAtMs, 30_000);
  deepStrictEqual(look(30_000).changes, [{ op: "remove", table: "config", id: "old" }]);
});
