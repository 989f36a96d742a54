import { decodeChanges, decodeSnapshot, encodeSnapshot } from "../../core/store/codec.ts";
import { MemoryStore } from "../../core/store/memory_store.ts";
import type { Transaction } from "../../core/store/transaction.ts";
import type { RaftLog } from "./raft_runner.ts";

const ALL = Number.MAX_SAFE_INTEGER;

/**
 * Makes the log of a manager that lost its quorum one of a cluster of its own: everything the log holds,
 * in a snapshot whose only member is this node. Entries that were not known to be committed are kept:
 * some of them may have been acknowledged by the leader that is gone, and keeping one too many is better
 * than losing one.
 */
export async function forceNewCluster(log: RaftLog, nodeId: string): Promise<void> {
  const store = new MemoryStore();
  const snapshot = log.snapshot();
  if (snapshot) store.restore(snapshot.meta.index, decodeSnapshot(snapshot.data).tables);
  const from = (snapshot?.meta.index ?? 0) + 1;
  for (const entry of log.entries(from, log.lastIndex() + 1, ALL)) {
    if (entry.type === "normal" && entry.data.length > 0) {
      store.apply(entry.index, decodeChanges(entry.data));
    } else store.advance(entry.index);
  }
  const index = log.lastIndex() + 1;
  const term = log.initialState().hardState.term + 1;
  store.advance(index);
  const data = await encodeSnapshot(store.capture(), () => Promise.resolve());
  log.append({
    entries: [],
    hardState: { term, vote: "", commit: index },
    snapshot: { meta: { index, term, conf: { voters: [nodeId], learners: [] } }, data },
  });
}

/** The other managers are workers from now on: they have to leave and join again. */
export function dropOtherManagers(tx: Transaction, nodeId: string): void {
  for (const node of [...tx.all("node")]) {
    if (node.ID === nodeId || (node.Role === "worker" && node.Spec.Role !== "manager")) continue;
    const { ManagerAddr: _, ...rest } = node;
    tx.update("node", { ...rest, Role: "worker", Spec: { ...node.Spec, Role: "worker" } });
  }
}
