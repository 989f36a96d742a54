import { FleetError } from "../../src/base/errors.ts";
import type { ApiNode, ApiService, ApiTask } from "../api_types.ts";
import { ApiError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { orDidYouMean } from "../nearest.ts";
import { segment } from "../query.ts";

/** Places that a refusal names. */
const MAX_NAMED = 5;

/** A task that runs, and the container in which it does. */
export interface RunningTask {
  readonly task: ApiTask;
  readonly container: string;
}

/**
 * The running task that `reference` means: of a service (the lowest slot), of one of its slots (`web.2`) or
 * nodes (`web.h2`), or by its id or name. @throws FleetError not-found
 */
export async function chooseTask(client: ApiClient, reference: string): Promise<RunningTask> {
  const service = await find<ApiService>(client, "services", reference);
  if (service) {
    const [first] = await running(client, service);
    if (first) return first;
    const name = service.Spec.Name;
    throw new FleetError(
      "not-found",
      `no task of service ${name} runs: see "fleet service ps ${name}"`,
    );
  }
  const task = await find<ApiTask>(client, "tasks", reference);
  if (task) {
    const state = task.Status?.State ?? "new";
    const found = inContainer(task);
    if (found) return found;
    throw new FleetError("not-found", `task ${reference} does not run: it is ${state}`);
  }
  return await atPlace(client, reference);
}

/** `SERVICE.SLOT`, `SERVICE.HOSTNAME` or `SERVICE.NODE`, each with or without `.TASK`; all but the slot may have dots. */
async function atPlace(client: ApiClient, reference: string): Promise<RunningTask> {
  for (let dot = reference.lastIndexOf("."); dot > 0; dot = reference.lastIndexOf(".", dot - 1)) {
    const service = await find<ApiService>(client, "services", reference.slice(0, dot));
    if (!service) continue;
    const place = reference.slice(dot + 1);
    const tasks = await running(client, service);
    const nodes = await client.get<ApiNode[]>("/nodes");
    const hostnames = new Map(nodes.map((node) => [node.ID, node.Description?.Hostname ?? ""]));
    const found = tasks.find(({ task }) => {
      const node = task.NodeID ?? "";
      const names = [task.Slot ? `${task.Slot}` : "", hostnames.get(node) ?? "", node];
      return names.some((name) =>
        name !== "" && (name === place || `${name}.${task.ID}` === place)
      );
    });
    if (found) return found;
    const places = tasks.map(({ task }) => task.Slot || hostnames.get(task.NodeID ?? ""));
    const named = places.slice(0, MAX_NAMED).map((at) => `${service.Spec.Name}.${at}`).join(", ");
    const more = places.length > MAX_NAMED ? ` and ${places.length - MAX_NAMED} more` : "";
    throw new FleetError(
      "not-found",
      `no task runs at ${reference}: ${named === "" ? "none of the service does" : named + more}` +
        `${named === "" ? "" : places.length === 1 ? " does" : " do"}`,
    );
  }
  const services = await client.get<ApiService[]>("/services");
  const names = services.map(({ Spec }) => Spec.Name ?? "");
  throw new FleetError(
    "not-found",
    `no such service or task: ${reference}${orDidYouMean(reference, names, "fleet list")}`,
  );
}

/** A service's running tasks by slot, those of a global one by node. */
async function running(client: ApiClient, service: ApiService): Promise<RunningTask[]> {
  const filters = JSON.stringify({
    service: { [service.ID]: true },
    "desired-state": { running: true },
  });
  const tasks = await client.get<ApiTask[]>("/tasks", { query: { filters } });
  return tasks.flatMap((task) => inContainer(task) ?? [])
    .sort(({ task: a }, { task: b }) =>
      (a.Slot ?? 0) - (b.Slot ?? 0) || ((a.NodeID ?? "") < (b.NodeID ?? "") ? -1 : 1)
    );
}

function inContainer(task: ApiTask): RunningTask | undefined {
  const container = task.Status?.ContainerStatus?.ContainerID;
  return task.Status?.State === "running" && container ? { task, container } : undefined;
}

async function find<T>(client: ApiClient, kind: string, reference: string): Promise<T | undefined> {
  try {
    return await client.get<T>(`/${kind}/${segment(reference)}`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
