import { MemoryStorage } from "../../src/core/raft/memory_storage.ts";
import type { ConfState, Entry, HardState, Snapshot } from "../../src/core/raft/types.ts";
import { encodeSnapshot } from "../../src/core/store/codec.ts";
import type { ManagerOptions } from "../../src/roles/manager/manager.ts";
import type { MemoryRecord } from "../../src/roles/manager/member_memory.ts";
import type { TestCluster } from "./test_cluster.ts";

class Log extends MemoryStorage {
  #memory: MemoryRecord | undefined;
  memory = () => this.#memory;
  keepMemory = (record: MemoryRecord) => void (this.#memory = record);
  saveSnapshot = () => Promise.resolve();

  persist({ entries, hardState, snapshot }: {
    readonly entries: readonly Entry[];
    readonly hardState: HardState | undefined;
    readonly snapshot: Snapshot | undefined;
  }): void {
    if (snapshot) this.applySnapshot(snapshot);
    if (entries.length > 0) this.append(entries);
    if (hardState) this.setHardState(hardState);
  }
}

/** A manager's log in memory; it begins with `cluster` in a snapshot, or is empty. */
export async function memoryRaftLog(
  cluster?: TestCluster,
  conf?: ConfState,
): Promise<ManagerOptions["log"]> {
  const log = new Log();
  if (cluster && conf) {
    const captured = cluster.store.capture();
    const { index } = captured;
    const data = await encodeSnapshot(captured, () => Promise.resolve());
    log.persist({
      entries: [],
      hardState: { term: 1, vote: "", commit: index },
      snapshot: { meta: { index, term: 1, conf }, data },
    });
  }
  return new Proxy(log, {
    get: (target, name) =>
      name === "append" ? target.persist.bind(target) : bound(target, name as keyof Log),
  }) as unknown as ManagerOptions["log"];
}

function bound(target: Log, name: keyof Log): unknown {
  const value: unknown = target[name];
  return typeof value === "function" ? value.bind(target) : value;
}
