import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";
import { nodeName } from "../../model/node.ts";
import { TABLES } from "../../model/objects.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { Applied, View } from "../../model/view.ts";
import { clusterOf } from "../../model/view.ts";
import { refusalReason } from "./refusal_reason.ts";
import { PREFIX } from "./registry.ts";

/** Services and nodes that have series of their own. */
export const MAX_SERVICES = 2_000;
export const MAX_NODES = 2_000;
const OTHERS = "(others)";

/** What a manager knows, as the figures read it. */
export interface ManagerFacts {
  readonly view: View;
  readonly leading: boolean;
  readonly term: number;
  readonly commit: number;
  readonly applied: number;
  readonly logEntries: number;
  readonly voters: number;
  readonly reachable: number;
  readonly hasLeader: boolean;
  /** Agents connected to this manager; 0 on one that does not lead. */
  readonly sessions: number;
}

/** Figures of raft, the store, tasks and nodes; the function returned reads them anew. */
export function registerClusterFigures(
  registry: Registry,
  facts: () => ManagerFacts | undefined,
): () => void {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers: [registry] });
  const single = {
    manager: gauge("manager", "1 on a manager, 0 on a worker."),
    leader: gauge("raft_leader", "1 on the manager that leads."),
    hasLeader: gauge("raft_has_leader", "1 while this manager knows a leader."),
    term: gauge("raft_term", "Term of the consensus."),
    commit: gauge("raft_commit_index", "Index of the last committed entry."),
    applied: gauge("raft_applied_index", "Index of the last applied entry."),
    entries: gauge("raft_log_entries", "Entries in the log, without what a snapshot has."),
    voters: gauge("raft_voters", "Managers that count for the quorum."),
    reachable: gauge("raft_voters_reachable", "Those that this manager takes for reachable."),
    sessions: gauge("dispatcher_sessions", "Agents that have a session with this manager."),
  };
  const objects = gauge("store_objects", "Objects in the replicated store.", ["table"]);
  const tasks = gauge("tasks", "Tasks by service and state; on the leader.", [
    "service",
    "state",
    "desired_state",
  ]);
  const wanted = gauge("service_replicas_desired", "Tasks that shall run; on the leader.", [
    "service",
  ]);
  const running = gauge("service_replicas_running", "Tasks that run; on the leader.", ["service"]);
  const nodes = gauge("nodes", "Nodes by role, state and availability; on the leader.", [
    "role",
    "state",
    "availability",
  ]);
  const expiry = gauge(
    "node_certificate_expiry_timestamp_seconds",
    "End of the nodes' certificates; on the leader.",
    ["node"],
  );
  return () => {
    for (const each of Object.values(single)) each.reset();
    for (const each of [objects, tasks, wanted, running, nodes, expiry]) each.reset();
    const found = facts();
    single.manager.set(found ? 1 : 0);
    if (!found) return;
    const { view } = found;
    single.leader.set(found.leading ? 1 : 0);
    single.hasLeader.set(found.hasLeader ? 1 : 0);
    single.term.set(found.term);
    single.commit.set(found.commit);
    single.applied.set(found.applied);
    single.entries.set(found.logEntries);
    single.voters.set(found.voters);
    single.reachable.set(found.reachable);
    single.sessions.set(found.sessions);
    for (const table of TABLES) objects.set({ table }, view.count(table));
    if (!found.leading || !clusterOf(view)) return;
    setTasks(view, { tasks, wanted, running });
    const own = new Set([...view.all("node")].map(nodeName).sort().slice(0, MAX_NODES));
    for (const node of view.all("node")) {
      nodes.inc({
        role: node.Role,
        state: node.Status.State,
        availability: node.Spec.Availability ?? "active",
      });
      const at = Date.parse(node.CertificateExpiry ?? "");
      if (own.has(nodeName(node)) && !Number.isNaN(at)) {
        expiry.set({ node: nodeName(node) }, at / 1000);
      }
    }
  };
}

function setTasks(
  view: View,
  gauges: { readonly tasks: Gauge; readonly wanted: Gauge; readonly running: Gauge },
): void {
  const names = [...view.all("service")].map(({ Spec, ID }) => Spec.Name ?? ID).sort();
  const own = new Set(names.slice(0, MAX_SERVICES));
  const counts = new Map<string, { labels: Record<string, string>; count: number }>();
  const replicas = new Map<string, { wanted: number; running: number }>();
  for (const name of own) replicas.set(name, { wanted: 0, running: 0 });
  for (const task of view.all("task")) {
    const service = serviceOf(task, own);
    const labels = { service, state: task.Status.State, desired_state: task.DesiredState };
    const key = `${service} ${labels.state} ${labels.desired_state}`;
    const known = counts.get(key);
    if (known) known.count++;
    else counts.set(key, { labels, count: 1 });
    const count = replicas.get(service) ?? { wanted: 0, running: 0 };
    replicas.set(service, count);
    if (!isTerminal(task.DesiredState)) count.wanted++;
    if (task.Status.State === "running") count.running++;
  }
  for (const { labels, count } of counts.values()) gauges.tasks.set(labels, count);
  for (const [service, count] of replicas) {
    gauges.wanted.set({ service }, count.wanted);
    gauges.running.set({ service }, count.running);
  }
}

function serviceOf(task: Task, own: ReadonlySet<string>): string {
  const name = task.ServiceAnnotations?.Name ?? "";
  return own.has(name) ? name : OTHERS;
}

/** Counts what the scheduler decides; given every change that the leader applies. */
export function schedulerCounters(
  registry: Registry,
): (changes: readonly Applied[], leading: boolean) => void {
  const placed = new Counter({
    name: `${PREFIX}scheduler_placements_total`,
    help: "Tasks that were given a node; on the leader.",
    registers: [registry],
  });
  const refused = new Counter({
    name: `${PREFIX}scheduler_refusals_total`,
    help: "Times that no node was found for a task, by what was in the way; on the leader.",
    labelNames: ["reason"],
    registers: [registry],
  });
  return (changes, leading) => {
    if (!leading) return;
    for (const { table, op, object, previous } of changes) {
      if (table !== "task" || op !== "update") continue;
      const [task, before] = [object as Task, previous as Task | undefined];
      if (!before?.NodeID && task.NodeID) placed.inc();
      else if (task.Status.State === "pending" && task.Status.Err !== before?.Status.Err) {
        if (task.Status.Err) refused.inc({ reason: refusalReason(task.Status.Err) });
      }
    }
  };
}
