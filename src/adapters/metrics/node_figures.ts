import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";
import { PREFIX } from "./registry.ts";

/** What the agent of a node counts by itself. */
export interface AgentFacts {
  readonly networks: {
    readonly networks: number;
    readonly drift: number;
    readonly audits: number;
    readonly problems: Readonly<Record<string, string>>;
    /** Who balances; absent before the first look. */
    readonly mesh?: string;
    readonly balancing: Readonly<Record<"services" | "ports", Balanced>>;
  };
  readonly dns: Readonly<Record<string, number>>;
}

interface Balanced {
  readonly servers: number;
  readonly serving: number;
  readonly draining: number;
  readonly empty: number;
}

/** Figures of this node's agent: its networks and its name server. The function returned reads them. */
export function registerAgentFigures(
  registry: Registry,
  facts: () => AgentFacts | undefined,
): () => void {
  const networks = new Gauge({
    name: `${PREFIX}networks`,
    help: "Overlay networks that this node has.",
    registers: [registry],
  });
  const problems = new Gauge({
    name: `${PREFIX}network_problems`,
    help: "Overlay networks that cannot be used here.",
    registers: [registry],
  });
  const drift = following(registry, {
    name: "network_drift_repaired_total",
    help: "Differences between the kernel and what it should have, found and repaired.",
  });
  const audits = following(registry, {
    name: "network_audits_total",
    help: "Times that the kernel was compared with what it should have.",
  });
  const dns = following(registry, {
    name: "dns_queries_total",
    help: "Questions to the name server of this node's containers, by what became of them.",
    labelNames: ["result"],
  });
  const mesh = meshFigures(registry);
  return () => {
    const found = facts();
    mesh(found?.networks);
    networks.set(found?.networks.networks ?? 0);
    problems.set(Object.keys(found?.networks.problems ?? {}).length);
    if (!found) return;
    drift(found.networks.drift);
    audits(found.networks.audits);
    for (const [result, count] of Object.entries(found.dns)) {
      if (result !== "queries") dns(count, { result });
    }
  };
}

/** Who balances in the kernel, and what: by weight, as the kernel has it. */
function meshFigures(registry: Registry): (networks: AgentFacts["networks"] | undefined) => void {
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers: [registry] });
  const backend = gauge("mesh_backend", "1 for who balances on this node.", ["backend"]);
  const servers = gauge(
    "mesh_virtual_servers",
    "Addresses of services and published ports that this node balances.",
    ["kind"],
  );
  const empty = gauge("mesh_virtual_servers_empty", "Those behind which no task serves.", ["kind"]);
  const reals = gauge(
    "mesh_real_servers",
    "Tasks behind them, by weight: 1 serves, 0 keeps the connections it has.",
    ["kind", "weight"],
  );
  return (networks) => {
    for (const each of [backend, servers, empty, reals]) each.reset();
    if (!networks) return;
    if (networks.mesh) backend.set({ backend: networks.mesh }, 1);
    for (const [plural, kind] of [["services", "service"], ["ports", "port"]] as const) {
      const counted = networks.balancing[plural];
      servers.set({ kind }, counted.servers);
      empty.set({ kind }, counted.empty);
      reals.set({ kind, weight: "1" }, counted.serving);
      reals.set({ kind, weight: "0" }, counted.draining);
    }
  };
}

/** A counter that follows somebody else's count, which begins anew when that one does. */
function following(
  registry: Registry,
  { name, prefix = PREFIX, ...rest }: {
    name: string;
    prefix?: string;
    help: string;
    labelNames?: string[];
  },
): (count: number, labels?: Record<string, string>) => void {
  const counter = new Counter({ name: prefix + name, ...rest, registers: [registry] });
  if (!rest.labelNames) counter.inc(0);
  const last = new Map<string, number>();
  return (count, labels = {}) => {
    const key = JSON.stringify(labels);
    const before = last.get(key) ?? 0;
    counter.inc(labels, count >= before ? count - before : count);
    last.set(key, count);
  };
}

/** Size of this node's databases on disk, write-ahead logs included. The function returned reads it. */
export function registerDatabaseFigures(
  registry: Registry,
  paths: Readonly<Record<string, string>>,
): () => void {
  const bytes = new Gauge({
    name: `${PREFIX}database_bytes`,
    help:
      "Size on disk: raft is a manager's log with its snapshots, worker the tasks of this node.",
    labelNames: ["database"],
    registers: [registry],
  });
  return () => {
    bytes.reset();
    for (const [database, path] of Object.entries(paths)) {
      const size = sizeOf(path) + sizeOf(`${path}-wal`);
      if (size > 0) bytes.set({ database }, size);
    }
  };
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

/** The process by the conventional names, and which program it is. The function returned reads them. */
export function registerProcessFigures(
  registry: Registry,
  build: { readonly version: string; readonly commit: string; readonly denoVersion: string },
): () => void {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const memory = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  const heap = gauge("process_heap_bytes", "Heap of the JavaScript engine in bytes.");
  const files = gauge("process_open_fds", "Number of open file descriptors.");
  const started = gauge("process_start_time_seconds", "Start time of the process since 1970.");
  started.set(Math.round(Date.now() - performance.now()) / 1000);
  const cpu = following(registry, {
    name: "process_cpu_seconds_total",
    prefix: "",
    help: "Total user and system CPU time spent in seconds.",
  });
  new Gauge({
    name: `${PREFIX}build_info`,
    help: "Always 1; the labels say which program runs.",
    labelNames: ["version", "commit", "deno"],
    registers: [registry],
  }).set({ version: build.version, commit: build.commit, deno: build.denoVersion }, 1);
  return () => {
    const { rss, heapUsed } = Deno.memoryUsage();
    memory.set(rss);
    heap.set(heapUsed);
    files.set([...Deno.readDirSync("/proc/self/fd")].length);
    cpu(processorSeconds());
  };
}

/** Linux counts in hundredths of a second, in fields 14 and 15 of proc(5)'s stat. */
function processorSeconds(): number {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  // The second field, the program's name, may have spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
