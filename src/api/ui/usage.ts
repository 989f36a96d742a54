import type { Backend } from "../backend.ts";

/** What the tasks of a node use, as its engine measures it over a second. */
export interface Usage {
  /** Tasks that run there. */
  readonly tasks: number;
  /** Those that were measured. */
  readonly asked: number;
  /** In 10⁻⁹ of a processor. */
  readonly cpus: number;
  readonly memory: number;
}

/** Containers measured for one look: each one costs the engine a second of counting. */
const MAX_ASKED = 64;
const TIMEOUT_MS = 8_000;

/** The part of the engine's statistics that is read here. */
interface Stats {
  readonly cpu_stats?: CpuStats;
  readonly precpu_stats?: CpuStats;
  readonly memory_stats?: {
    readonly usage?: number;
    readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number };
  };
}
interface CpuStats {
  readonly cpu_usage?: { readonly total_usage?: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

export async function usageOf(
  backend: Backend,
  nodeId: string,
  signal: AbortSignal,
): Promise<Usage> {
  const { value: ids } = await backend.read((view) =>
    [...view.tasksOfNode(nodeId)].filter(({ Status }) => Status.State === "running")
      .map(({ ID }) => ID).sort()
  );
  const within = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const found = await Promise.allSettled(
    ids.slice(0, MAX_ASKED).map((id) => measure(backend, id, within)),
  );
  let [asked, cpus, memory] = [0, 0, 0];
  for (const result of found) {
    if (result.status === "rejected") continue;
    asked++;
    cpus += result.value.cpus;
    memory += result.value.memory;
  }
  return { tasks: ids.length, asked, cpus, memory };
}

async function measure(backend: Backend, taskId: string, signal: AbortSignal) {
  const answer = await backend.askTask(taskId, "stats?stream=false", signal);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of answer.body) text += decoder.decode(chunk, { stream: true });
  return numbersOf(JSON.parse(text) as Stats);
}

/** As `docker stats` counts: the share of all processors' time, and memory without what could be dropped. */
export function numbersOf({ cpu_stats: now, precpu_stats: before, memory_stats: memory }: Stats) {
  const used = (now?.cpu_usage?.total_usage ?? 0) - (before?.cpu_usage?.total_usage ?? 0);
  const passed = (now?.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0);
  const share = passed > 0 && used > 0 ? used / passed : 0;
  const file = memory?.stats?.inactive_file ?? memory?.stats?.total_inactive_file ?? 0;
  return {
    cpus: Math.round(share * (now?.online_cpus ?? 1) * 1e9),
    memory: Math.max(0, (memory?.usage ?? 0) - file),
  };
}
