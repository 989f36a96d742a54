import { until } from "../../src/adapters/lab_hosts/process.ts";
import { dataKey, stateFiles } from "../../src/adapters/host/data_directory.ts";
import { RaftLogStore } from "../../src/adapters/sqlite/raft_log_store.ts";
import { decodeChanges, decodeSnapshot, encodeSnapshot } from "../../src/core/store/codec.ts";
import { MemoryStore } from "../../src/core/store/memory_store.ts";
import { FleetLab } from "../support/fleet_lab.ts";
import { makeTask } from "../support/make_task.ts";
import { median, printTable } from "./figures.ts";

const OBJECTS = 100_000;
const ROUNDS = 5;
const CREATED = "2026-01-01T00:00:00.000000000Z";

/** A manager with 100,000 tasks: from the start of its process to the first answer, and what they cost in memory. */
export async function run(): Promise<void> {
  const lab = await FleetLab.up("bench", 1);
  const host = lab.host("h1");
  try {
    await lab.fleet("h1", "init", "--advertise-addr", host.address);
    const few = await timedStarts(lab);
    await host.stop("agent");
    await fill(host.layout.dataDir);
    const many = await timedStarts(lab);
    const counted = await lab.get<unknown[]>("h1", "/tasks");
    if (counted.length < OBJECTS) throw new Error(`only ${counted.length} tasks are there`);
    printTable([
      ["manager with", "start -> first read (median, max)", "RSS"],
      ["one node", span(few.ms), `${few.rssMiB.toFixed(0)} MiB`],
      [`${OBJECTS} tasks`, span(many.ms), `${many.rssMiB.toFixed(0)} MiB`],
    ]);
    const bytes = (many.rssMiB - few.rssMiB) * 1024 * 1024 / OBJECTS;
    console.log(
      `memory per 100,000 tasks: ${(many.rssMiB - few.rssMiB).toFixed(0)} MiB, ${
        bytes.toFixed(0)
      } bytes each`,
    );
  } finally {
    await lab.down();
  }
}

const span = (ms: readonly number[]) =>
  `${(median(ms) / 1000).toFixed(2)} s, ${(Math.max(...ms) / 1000).toFixed(2)} s`;

async function timedStarts(lab: FleetLab): Promise<{ ms: number[]; rssMiB: number }> {
  const host = lab.host("h1");
  const ms: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await host.stop("agent", "SIGKILL");
    const at = performance.now();
    await host.startAgent();
    await until(
      "it leads and answers",
      () => lab.get("h1", "/nodes").then(() => true, () => false),
      60_000,
      5,
    );
    ms.push(performance.now() - at);
  }
  const status = Deno.readTextFileSync(`/proc/${host.pid("agent")}/status`);
  return { ms, rssMiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024 };
}

/**
 * Puts the tasks of a job that is done into the newest state, as a snapshot: they are there, and nothing wants to
 * act on them.
 */
async function fill(dataDir: string): Promise<void> {
  const key = dataKey(stateFiles(dataDir), { mayCreate: false });
  const log = RaftLogStore.open(`${dataDir}/raft.db`, key);
  try {
    const index = log.lastIndex();
    const store = replay(log);
    const { tables } = store.capture();
    const meta = { CreatedAt: CREATED, UpdatedAt: CREATED, Version: { Index: index } };
    const spec = makeTask("x").Spec;
    tables.service = [{
      ID: "service-of-job",
      ...meta,
      Spec: {
        Name: "job",
        TaskTemplate: spec,
        Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: OBJECTS } },
      },
      SpecVersion: { Index: index },
      JobStatus: { JobIteration: { Index: 0 } },
    }];
    tables.task = Array.from(
      { length: OBJECTS },
      (_, slot) =>
        makeTask(`task${String(slot).padStart(21, "0")}`, {
          ...meta,
          ServiceID: "service-of-job",
          ServiceAnnotations: { Name: "job", Labels: {} },
          Slot: slot,
          JobIteration: { Index: 0 },
          DesiredState: "complete",
          SpecVersion: { Index: index },
          Status: { State: "complete", Timestamp: CREATED, Message: "finished" },
        }),
    );
    const data = await encodeSnapshot({ index, tables }, () => Promise.resolve());
    const { conf } = log.snapshot()!.meta;
    await log.saveSnapshot({ meta: { index, term: log.term(index)!, conf }, data }, index + 1);
  } finally {
    log.close();
  }
}

/** The state that the log of a stopped manager describes. */
function replay(log: RaftLogStore): MemoryStore {
  const store = new MemoryStore();
  const snapshot = log.snapshot();
  if (snapshot) store.restore(snapshot.meta.index, decodeSnapshot(snapshot.data).tables);
  const from = (snapshot?.meta.index ?? 0) + 1;
  for (const entry of log.entries(from, log.lastIndex() + 1, Number.MAX_SAFE_INTEGER)) {
    if (entry.type === "normal" && entry.data.length > 0) {
      store.apply(entry.index, decodeChanges(entry.data));
    } else store.advance(entry.index);
  }
  return store;
}
