import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { MemoryStorage } from "../../core/raft/memory_storage.ts";
import { decodeSnapshot, encodeChanges, encodeSnapshot } from "../../core/store/codec.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import { Transaction } from "../../core/store/transaction.ts";
import { TestCluster } from "../../../tests/support/test_cluster.ts";
import { dropOtherManagers, forceNewCluster } from "./force_new_cluster.ts";
import type { RaftLog } from "./raft_runner.ts";

const MANAGER = {
  Role: "manager",
  Spec: { Labels: {}, Role: "manager", Availability: "active" },
} as const;

Deno.test("a forced new cluster has one member and forgets nothing, committed or not", async () => {
  const cluster = new TestCluster();
  cluster.addNode("m1", { ...MANAGER, ManagerAddr: "m1:2377" });
  cluster.addNode("m2", { ...MANAGER, ManagerAddr: "m2:2377" });
  const captured = cluster.store.capture();
  const storage = new MemoryStorage();
  const conf = { voters: ["m1", "m2", "m3"], learners: [] };
  const data = await encodeSnapshot(captured, () => Promise.resolve());
  storage.applySnapshot({ meta: { index: captured.index, term: 3, conf }, data });
  const node = (id: string) => {
    const tx = new Transaction(cluster.store, 0);
    tx.create("node", { ...cluster.store.get("node", "m1")!, ID: id });
    return encodeChanges(tx.changes());
  };
  const entry = (i: number, data: Uint8Array) => ({
    index: captured.index + i,
    term: 3,
    type: "normal" as const,
    data,
  });
  storage.append([entry(1, node("w1")), entry(2, new Uint8Array()), entry(3, node("w2"))]);
  // Only the first is known to be committed: the last one may have been acknowledged all the same.
  storage.setHardState({ term: 5, vote: "m2", commit: captured.index + 1 });
  const written: Parameters<RaftLog["append"]>[0][] = [];
  const log = Object.assign(storage, {
    append: (batch: Parameters<RaftLog["append"]>[0]) => void written.push(batch),
  }) as unknown as RaftLog;

  await forceNewCluster(log, "m1");

  strictEqual(written.length, 1, "all at once, or a crash leaves a half");
  const { snapshot, hardState, entries } = written[0]!;
  const index = captured.index + 4;
  deepStrictEqual(entries, []);
  // A term of its own: whatever the others do in the old one is another history.
  deepStrictEqual(hardState, { term: 6, vote: "", commit: index });
  deepStrictEqual(snapshot!.meta, { index, term: 6, conf: { voters: ["m1"], learners: [] } });
  const store = new MemoryStore();
  store.restore(index, decodeSnapshot(snapshot!.data).tables);
  deepStrictEqual([...store.all("node")].map(({ ID }) => ID).sort(), ["m1", "m2", "w1", "w2"]);

  const tx = new Transaction(store, 0);
  dropOtherManagers(tx, "m1");
  strictEqual(tx.get("node", "m1")!.Role, "manager");
  strictEqual(tx.get("node", "m2")!.Role, "worker");
  ok(!("ManagerAddr" in tx.get("node", "m2")!));
});
