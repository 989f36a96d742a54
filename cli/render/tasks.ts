import { RESTART_WAIT } from "../../src/model/restart_wait.ts";
import type { ApiTask } from "../api_types.ts";
import type { ListShape } from "./list.ts";
import { renderList } from "./list.ts";
import { naturalCompare } from "./natural_sort.ts";
import { ago, ellipsis, shortId, title } from "./text.ts";

const TASK_LIST: ListShape = {
  headers: {
    ID: "ID",
    Name: "NAME",
    Image: "IMAGE",
    Node: "NODE",
    DesiredState: "DESIRED STATE",
    CurrentState: "CURRENT STATE",
    Error: "ERROR",
    Ports: "PORTS",
  },
  columns: ["ID", "Name", "Image", "Node", "DesiredState", "CurrentState", "Error", "Ports"],
};

/** Errors are cut to this many characters unless asked for in full. */
const MAX_ERROR = 30;

/** What people call services and nodes, by id; an id without a name stands for itself. */
export interface Names {
  service(id: string): string;
  node(id: string): string;
}

export interface TaskTableOptions {
  readonly quiet?: boolean;
  readonly format?: string;
  readonly noTrunc?: boolean;
}

/** Tasks by slot, newest first; older ones of the same slot are marked as its history. */
export function renderTasks(
  tasks: readonly ApiTask[],
  names: Names,
  nowMs: number,
  options: TaskTableOptions,
): string {
  const named = tasks.map((task) => ({ task, name: placeOf(task, names) }));
  named.sort((a, b) =>
    naturalCompare(a.name, b.name) || compareText(b.task.CreatedAt, a.task.CreatedAt)
  );
  let previous = "";
  const table = (options.format ?? "table").startsWith("table");
  const rows = named.map(({ task, name }) => {
    const repeated = name === previous;
    previous = name;
    const shown = repeated && table && !options.quiet ? ` \\_ ${name}` : name;
    return taskRow(task, shown, names, nowMs, options);
  });
  return renderList(TASK_LIST, rows, options);
}

/** `service.slot`, or `service.nodeID` for tasks of global services. */
function placeOf(task: ApiTask, names: Names): string {
  const service = names.service(task.ServiceID ?? "");
  const slot = task.Slot ?? 0;
  // Slots of jobs begin at 0, and so do those of no slot at all: the node tells them apart.
  const isJob = task.JobIteration !== undefined && slot === 0;
  return `${service}.${slot !== 0 || (isJob && !task.NodeID) ? slot : task.NodeID ?? ""}`;
}

function taskRow(
  task: ApiTask,
  name: string,
  names: Names,
  nowMs: number,
  options: TaskTableOptions,
): Record<string, unknown> {
  const full = options.noTrunc === true;
  // Ids alone are for scripts: whole, as Docker's.
  const fullId = full || options.quiet === true;
  const { Err, Message = "" } = task.Status ?? {};
  const error = Err || (Message.startsWith(RESTART_WAIT) ? Message : "");
  const image = task.Spec?.ContainerSpec?.Image ?? "";
  const since = ago(task.Status?.Timestamp, nowMs);
  return {
    ID: fullId ? task.ID : shortId(task.ID),
    Name: name,
    Image: full ? image : imageText(image),
    Node: names.node(task.NodeID ?? ""),
    DesiredState: title(task.DesiredState ?? ""),
    CurrentState: `${title(task.Status?.State ?? "")} ${since}`.trimEnd(),
    Error: error === "" ? "" : `"${full ? error : ellipsis(error, MAX_ERROR)}"`,
    Ports: hostPorts(task),
  };
}

/** The reference without its digest, unless there is nothing else to tell images apart. */
export function imageText(image: string): string {
  const [name = "", digest] = image.split("@", 2);
  const hasTag = /:[^/:]+$/.test(name);
  return digest !== undefined && !hasTag ? image : name;
}

function hostPorts(task: ApiTask): string {
  return (task.Status?.PortStatus?.Ports ?? [])
    .map((port) => `*:${port.PublishedPort}->${port.TargetPort}/${port.Protocol ?? "tcp"}`)
    .join(",");
}

function compareText(a: string | undefined, b: string | undefined): number {
  const left = a ?? "";
  const right = b ?? "";
  return left < right ? -1 : left > right ? 1 : 0;
}
