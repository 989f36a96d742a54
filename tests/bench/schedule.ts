import { schedule } from "../../src/core/scheduler/scheduler.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import type { Change } from "../../src/model/view.ts";
import { median, printTable, timed } from "./figures.ts";

const SIZES = [[1_000, 1_000], [1_000, 10_000], [1_000, 100_000], [10_000, 100_000]] as const;
const ROUNDS = 3;

/** One pass of the scheduler over a cluster whose tasks all wait. */
export async function run(): Promise<void> {
  const rows = [["nodes", "tasks", "plain", "with constraints"]];
  for (const [nodes, tasks] of SIZES) {
    const cells: string[] = [];
    for (const constraints of [[], ["node.labels.disk==ssd", "node.role!=manager"]]) {
      const store = cluster(nodes, tasks, constraints);
      const times: number[] = [];
      for (let i = 0; i < ROUNDS; i++) {
        times.push(
          await timed(() => {
            const placed = schedule(store, 0).changes.length;
            if (placed !== tasks) throw new Error(`${placed} of ${tasks} placed`);
            return Promise.resolve();
          }),
        );
      }
      cells.push(`${(median(times) / 1000).toFixed(3)} s`);
    }
    rows.push([String(nodes), String(tasks), ...cells]);
    console.log(rows.at(-1)!.join("  "));
  }
  printTable(rows);
}

function cluster(nodes: number, tasks: number, constraints: string[]): MemoryStore {
  const store = new MemoryStore();
  const meta = { Version: { Index: 0 }, CreatedAt: "", UpdatedAt: "" };
  const changes: Change[] = [];
  for (let i = 0; i < nodes; i++) {
    changes.push({
      op: "create",
      table: "node",
      object: {
        ...meta,
        ID: `n${i}`,
        Spec: { Labels: { disk: "ssd" } },
        Status: { State: "ready" },
        Role: "worker",
      },
    });
  }
  const spec = {
    ContainerSpec: { Image: "a" },
    ...(constraints.length > 0 ? { Placement: { Constraints: constraints } } : {}),
  };
  for (let i = 0; i < tasks; i++) {
    changes.push({
      op: "create",
      table: "task",
      object: {
        ...meta,
        ID: `t${i}`,
        ServiceID: "s",
        Slot: i + 1,
        Spec: spec,
        Status: { State: "pending" },
        DesiredState: "running",
        SpecVersion: { Index: 1 },
      },
    });
  }
  store.apply(1, changes);
  return store;
}
