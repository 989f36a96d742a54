import { humanDuration } from "../../src/base/duration.ts";
import type { ApiNode, ApiService, ApiTask, FleetInfo } from "../api_types.ts";
import type { Finding } from "./findings.ts";
import { ok, trouble, warning } from "./findings.ts";

/** A task that found no place for so long is worth a word. */
const PENDING_MS = 5_000;
const NAMED_TASKS = 3;

export interface Members extends FleetInfo {
  readonly Managers?: number;
  readonly ManagersReachable?: number;
}

export const nodeNameOf = ({ Spec, Description, ID }: ApiNode): string =>
  Spec.Name || Description?.Hostname || ID;

/** The managers and whether they can decide. */
export function quorum(info: Members): Finding {
  const { Managers = 0, ManagersReachable = 0, Tolerance = "" } = info;
  const needed = Math.floor(Managers / 2) + 1;
  if (ManagersReachable < needed) return trouble("cluster", Tolerance, "fleet recover --dry-run");
  if (ManagersReachable < Managers) {
    return warning("cluster", Tolerance, "start the agents of the managers that are away");
  }
  return Managers >= 3
    ? ok("cluster", Tolerance)
    : warning("cluster", Tolerance, "fleet join-token manager, or fleet promote NODE");
}

export function nodeStates(nodes: readonly ApiNode[]): Finding[] {
  return nodes.map((node) => {
    const name = nodeNameOf(node);
    const { State, Message } = node.Status;
    if (State !== "ready") {
      return trouble(
        name,
        `${State}${Message ? `: ${Message}` : ""}`,
        `start its agent (systemctl start fleet), or fleet node rm --force ${name}`,
      );
    }
    const availability = node.Spec.Availability ?? "active";
    return availability === "active" ? ok(name, "ready") : warning(
      name,
      `ready, but ${availability}: it takes no tasks`,
      `fleet node update --availability active ${name}`,
    );
  });
}

/** Services that have not what they should, with the reasons of their tasks. */
export function services(
  list: readonly ApiService[],
  tasks: readonly ApiTask[],
  nowMs: number,
): Finding[] {
  const found = list.map((service) => {
    const { RunningTasks = 0, DesiredTasks = 0 } = service.ServiceStatus ?? {};
    const Name = service.Spec.Name ?? service.ID;
    const pending = tasks.filter((task) =>
      task.ServiceID === service.ID && task.Status.State === "pending" &&
      nowMs - Date.parse(task.Status.Timestamp ?? task.CreatedAt ?? "") > PENDING_MS
    );
    if (pending.length > 0) {
      const reasons = new Set(pending.map(({ Status }) => Status.Err || Status.Message || "waits"));
      return trouble(
        Name,
        `${pending.length} of its tasks find no node: ${
          [...reasons].slice(0, NAMED_TASKS).join("; ")
        }`,
        "change its constraints or reservations, or add a node that fits",
      );
    }
    if (RunningTasks >= DesiredTasks) return ok(Name, `${RunningTasks} of ${DesiredTasks} run`);
    const failed = tasks.filter((task) => task.ServiceID === service.ID && task.Status.Err)
      .toSorted((a, b) => time(b) - time(a))[0];
    return warning(
      Name,
      `${RunningTasks} of ${DesiredTasks} run${
        failed ? `; last: ${failed.Status.Err} (${humanDuration(nowMs - time(failed))} ago)` : ""
      }`,
      `fleet diagnose ${Name}`,
    );
  });
  return found;
}

const time = (task: ApiTask) => Date.parse(task.Status.Timestamp ?? "") || 0;

/** Every node of a cluster should run the same fleet. */
export function versions(byNode: ReadonlyMap<string, string>): Finding[] {
  const seen = new Map<string, string[]>();
  for (const [node, version] of byNode) seen.set(version, [...seen.get(version) ?? [], node]);
  if (seen.size === 0) return [];
  if (seen.size === 1) return [ok("cluster", `every node runs fleet ${[...seen.keys()][0]}`)];
  const text = [...seen].map(([version, nodes]) => `${version} on ${nodes.join(", ")}`).join("; ");
  return [warning("cluster", `several versions: ${text}`, "fleet upgrade --all")];
}
