import type { ApiNode, ApiTask } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { NotConvergedError } from "../exit_codes.ts";
import type { FleetCommand } from "../fleet_command.ts";
import { filtersText, segment } from "../query.ts";
import { fetchNames } from "../tasks.ts";
import type { VerbContext } from "../verb.ts";
import { getNode, putNode } from "./shared.ts";

export interface WaitFlags {
  readonly wait?: boolean;
  /** Nanoseconds. */
  readonly timeout?: number;
}

const POLL_MS = 500;
/** Looks in a row that may fail (a leader change, a restarting agent) before the wait gives up. */
const MAX_FAILURES = 60;
const NS_PER_MS = 1e6;
/** Tasks named in a sentence; the others are counted. */
const MAX_NAMED = 3;
const ENDED = new Set(["complete", "shutdown", "failed", "rejected", "remove", "orphaned"]);

export function addWaitFlags(
  command: FleetCommand,
  what: string,
  duration: (text: string) => number,
): FleetCommand {
  return command.flag("--wait", what)
    .value("--timeout <duration>", "End the wait with exit code 3 after this long", duration);
}

/** Drains a node; with `wait` until it can be stopped. */
export async function drainOne(
  context: VerbContext,
  reference: string,
  flags: WaitFlags,
): Promise<void> {
  const node = await getNode(context.client, reference);
  if (node.Spec.Availability !== "drain") {
    await putNode(context.client, node, { ...node.Spec, Availability: "drain" });
  }
  context.print(reference);
  if (flags.wait) await waitUntilDrained(context, node.ID, flags);
}

/**
 * Waits until no task is left on a drained node, telling what still is, and why; then says that it can
 * be stopped. Ctrl-C ends the wait, not the draining.
 * @throws NotConvergedError when the time is over
 */
export async function waitUntilDrained(
  context: VerbContext,
  nodeId: string,
  flags: WaitFlags,
): Promise<void> {
  const { env, client, print } = context;
  const controller = new AbortController();
  const stopListening = env.onInterrupt(() => controller.abort());
  const deadline = flags.timeout ? env.now() + flags.timeout / NS_PER_MS : Infinity;
  let told = "";
  try {
    for (;;) {
      const left = await patiently(context, () => leftOn(client, nodeId), controller.signal);
      if (left === "down" || left.length === 0) break;
      const sentence = describe(left);
      if (sentence !== told) print(sentence);
      told = sentence;
      if (env.now() >= deadline) throw new NotConvergedError(`not drained in time: ${sentence}`);
      await env.sleep(POLL_MS, controller.signal);
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    print("It goes on in the background.");
    return;
  } finally {
    stopListening();
  }
  print(await lastWord(client, nodeId));
}

/** A task that is still there, and what keeps it. */
interface Left {
  readonly name: string;
  readonly why: string;
}

/** What is left on the node; nobody can tell of one that is down. */
async function leftOn(client: ApiClient, nodeId: string): Promise<Left[] | "down"> {
  const [node, here, names] = await Promise.all([
    client.get<ApiNode>(`/nodes/${segment(nodeId)}`),
    client.get<ApiTask[]>("/tasks", { query: { filters: filtersText([], { node: [nodeId] }) } }),
    fetchNames(client),
  ]);
  if (node.Status.State === "down") return "down";
  const left = here.filter((task) => task.ServiceID && !ENDED.has(task.Status?.State ?? "new"));
  if (left.length === 0) return [];
  const services = [...new Set(left.map((task) => task.ServiceID!))];
  const all = await client.get<ApiTask[]>("/tasks", {
    query: { filters: filtersText([], { service: services }) },
  });
  return left.map((task): Left => {
    const slot = `${names.service(task.ServiceID!)}.${task.Slot ?? names.node(nodeId)}`;
    if (task.DesiredState === "shutdown" || task.DesiredState === "remove") {
      return { name: slot, why: "stops" };
    }
    const next = all.find((other) =>
      other.ServiceID === task.ServiceID && other.Slot === task.Slot && other.ID !== task.ID &&
      !ENDED.has(other.Status?.State ?? "new")
    );
    const why = next?.Status?.Err ??
      (next ? `its successor is ${next.Status?.State}` : "waits its turn");
    return { name: slot, why };
  }).sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function describe(left: readonly Left[]): string {
  const named = left.slice(0, MAX_NAMED).map(({ name, why }) => `${name} (${why})`).join(", ");
  const more = left.length > MAX_NAMED ? ` and ${left.length - MAX_NAMED} more` : "";
  return `${left.length} ${left.length === 1 ? "task" : "tasks"} left: ${named}${more}`;
}

/** That it can be stopped, and what that would mean for the managers. */
async function lastWord(client: ApiClient, nodeId: string): Promise<string> {
  const nodes = await client.get<ApiNode[]>("/nodes");
  const node = nodes.find(({ ID }) => ID === nodeId);
  const name = node?.Description?.Hostname ?? nodeId;
  if (node?.Status.State === "down") return `${name} is down: nothing to wait for`;
  if (!node?.ManagerStatus) return `${name} is drained: safe to stop`;
  const managers = nodes.filter(({ ManagerStatus }) => ManagerStatus);
  const others = managers.filter(({ ID, ManagerStatus }) =>
    ID !== nodeId && ManagerStatus?.Reachability === "reachable"
  );
  const quorum = Math.floor(managers.length / 2) + 1;
  return others.length >= quorum
    ? `${name} is drained: safe to stop; ${others.length} of ${managers.length} managers are left`
    : `${name} is drained, but a manager that is needed: without it ${others.length} of ` +
      `${managers.length} are left and ${quorum} are needed`;
}

async function patiently<T>(
  { env }: VerbContext,
  look: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let failures = 0;; failures++) {
    try {
      return await look();
    } catch (error) {
      const passing = error instanceof ConnectError ||
        (error instanceof ApiError && error.status >= 500);
      if (!passing || failures >= MAX_FAILURES) throw error;
      await env.sleep(POLL_MS, signal);
    }
  }
}
