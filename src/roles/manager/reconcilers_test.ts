import { deepStrictEqual } from "node:assert/strict";
import type { Logger } from "../../base/log.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import { allocatorReconciler } from "./reconcilers.ts";

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
