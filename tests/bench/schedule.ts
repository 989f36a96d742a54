/**
 * Time of one scheduling decision: N nodes, T pending tasks of one service, with and without constraints
 * and reservations. What SwarmKit's own benchmark of the same name measures, without the store.
 *
 *     deno run -A tests/bench/schedule.ts
 */
import { printTable } from "./figures.ts";
import { Scheduler } from "../../src/core/scheduler/scheduler.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import type { Node } from "../../src/model/node.ts";
import type { Task } from "../../src/model/task.ts";
import type { Change } from "../../src/model/view.ts";

const SIZES = [[1_000, 1_000], [1_000, 10_000], [1_000, 100_000], [10_000, 100_000]] as const;
const ROUNDS = 3;
/** The design's promise for 1,000 nodes and 10,000 tasks. */
const TARGET_MS = 250;
const NOW = Date.UTC(2026, 0, 1);
const CHUNK = 10_000;

const KINDS = {
  plain: {},
  constrained: {
    Placement: { Constraints: ["node.labels.zone!=c", "node.role==worker"] },
    Resources: { Reservations: { NanoCPUs: 1e6, MemoryBytes: 1024 * 1024 } },
  },
  spread: {
    Placement: { Preferences: [{ Spread: { SpreadDescriptor: "node.labels.zone" } }] },
  },
} as const;

function nodeOf(i: number): Node {
  return {
    ID: `node${String(i).padStart(6, "0")}`,
    Version: { Index: 0 },
    CreatedAt: "",
    UpdatedAt: "",
    Spec: { Labels: { zone: "abc"[i % 3]! }, Role: "worker", Availability: "active" },
    Description: {
      Hostname: `node${i}`,
      Resources: { NanoCPUs: 8e9, MemoryBytes: 16 * 1024 ** 3 },
    },
    Status: { State: "ready" },
    Role: "worker",
  };
}

function taskOf(i: number, spec: Task["Spec"]): Task {
  return {
    ID: `task${String(i).padStart(7, "0")}`,
    Version: { Index: 0 },
    CreatedAt: "2026-01-01T00:00:00.000Z",
    UpdatedAt: "",
    Spec: spec,
    ServiceID: "service",
    Slot: i + 1,
    Status: { State: "pending" },
    DesiredState: "running",
    SpecVersion: { Index: 1 },
  };
}

function storeOf(nodes: number, tasks: number, spec: Task["Spec"]): MemoryStore {
  const store = new MemoryStore();
  let index = 0;
  const fill = (changes: Change[]) => {
    for (let i = 0; i < changes.length; i += CHUNK) {
      store.apply(++index, changes.slice(i, i + CHUNK));
    }
  };
  fill(Array.from({ length: nodes }, (_, i) => ({
    op: "create",
    table: "node",
    object: nodeOf(i),
  })));
  fill(Array.from({ length: tasks }, (_, i) => ({
    op: "create",
    table: "task",
    object: taskOf(i, spec),
  })));
  return store;
}

/** Milliseconds of the best of a few decisions, and of building the cache from the store. */
export function measure(
  nodes: number,
  tasks: number,
  kind: keyof typeof KINDS,
): { decideMs: number; resyncMs: number; placed: number } {
  const store = storeOf(nodes, tasks, KINDS[kind]);
  const scheduler = new Scheduler();
  const syncStarted = performance.now();
  scheduler.resync(store);
  const resyncMs = performance.now() - syncStarted;
  let decideMs = Infinity;
  let placed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    placed = scheduler.schedule(store, NOW).changes.length;
    decideMs = Math.min(decideMs, performance.now() - started);
  }
  return { decideMs, resyncMs, placed };
}

export function run(): Promise<void> {
  const rows = [["nodes", "tasks", "kind", "decision", "start from the store", "placed"]];
  let late = false;
  for (const [nodes, tasks] of SIZES) {
    for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
      const { decideMs, resyncMs, placed } = measure(nodes, tasks, kind);
      if (placed !== tasks) throw new Error(`${placed} of ${tasks} placed`);
      late ||= nodes === 1_000 && tasks === 10_000 && decideMs + resyncMs > TARGET_MS;
      rows.push([
        String(nodes),
        String(tasks),
        kind,
        `${decideMs.toFixed(1)} ms`,
        `${resyncMs.toFixed(1)} ms`,
        String(placed),
      ]);
    }
  }
  printTable(rows);
  if (late) throw new Error(`1,000 nodes x 10,000 tasks took longer than ${TARGET_MS} ms`);
  return Promise.resolve();
}

if (import.meta.main) await run();
