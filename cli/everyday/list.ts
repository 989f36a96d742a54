import { RESTART_WAIT } from "../../src/model/restart_wait.ts";
import type { ApiInfo, ApiNode, ApiService, ApiTask } from "../api_types.ts";
import { globMatcher, isGlob } from "../glob.ts";
import { addListFlags } from "../list_flags.ts";
import type { ListFlags } from "../list_flags.ts";
import { filtersText } from "../query.ts";
import { renderList } from "../render/list.ts";
import type { ListShape } from "../render/list.ts";
import { naturalCompare } from "../render/natural_sort.ts";
import { imageText } from "../render/tasks.ts";
import { ago, shortId, title } from "../render/text.ts";
import type { Verb } from "../verb.ts";

interface Flags extends ListFlags {
  readonly all?: boolean;
  readonly env?: boolean;
  readonly local?: boolean;
}

const SHAPE: ListShape = {
  headers: {
    ID: "ID",
    Name: "NAME",
    Image: "IMAGE",
    Node: "NODE",
    Address: "ADDRESS",
    Health: "HEALTH",
    State: "STATE",
    Ports: "PORTS",
    Env: "ENV",
    Error: "REASON",
  },
  columns: ["Name", "Image", "Node", "Address", "Health", "State", "Ports"],
};

export const verb: Verb<Flags> = {
  define(command) {
    addListFlags(command.argument("[pattern]", "Tasks whose name matches, with * and ?"))
      .flag("-a, --all", "Also tasks that have ended")
      .flag("-e, --env", "Show each task's environment, secrets masked")
      .flag("-l, --local", "Only tasks of this node")
      .examples("fleet list", "fleet list 'web*'", "fleet list --local --env", "fleet list -q db");
  },
  async run({ client, env }, [pattern], flags) {
    const wanted = flags.all ? {} : { "desired-state": ["running", "ready"] };
    const [tasks, services, nodes, local] = await Promise.all([
      client.get<ApiTask[]>("/tasks", { query: { filters: filtersText(flags.filter, wanted) } }),
      client.get<ApiService[]>("/services"),
      client.get<ApiNode[]>("/nodes"),
      flags.local ? client.get<ApiInfo>("/info") : undefined,
    ]);
    const byService = new Map(services.map((service) => [service.ID, service]));
    const byNode = new Map(nodes.map((node) => [node.ID, node]));
    const matches = pattern === undefined
      ? () => true
      : globMatcher(isGlob(pattern) ? pattern : `${pattern}*`);
    const rows = tasks.filter((task) => !local || task.NodeID === local.Swarm?.NodeID)
      .map((task) => rowOf(task, byService, byNode, env.now(), flags))
      .filter(({ Name }) => matches(Name))
      .sort((a, b) => naturalCompare(a.Name, b.Name));
    const columns = [
      ...SHAPE.columns,
      ...(flags.env ? ["Env"] : []),
      ...(rows.some(({ Error }) => Error !== "") ? ["Error"] : []),
    ];
    env.stdout.write(renderList({ ...SHAPE, columns }, rows, flags));
  },
};

function rowOf(
  task: ApiTask,
  services: ReadonlyMap<string, ApiService>,
  nodes: ReadonlyMap<string, ApiNode>,
  nowMs: number,
  flags: Flags,
) {
  const service = services.get(task.ServiceID ?? "");
  const node = nodes.get(task.NodeID ?? "");
  const nodeName = node?.Spec.Name || node?.Description?.Hostname || "";
  const state = task.Status?.State ?? "";
  const message = task.Status?.Message ?? "";
  const waits = state === "pending" || message.startsWith(RESTART_WAIT);
  return {
    ID: flags.quiet ? task.ID : shortId(task.ID),
    Name: `${service?.Spec.Name ?? task.ServiceID}.${task.Slot || nodeName || shortId(task.ID)}`,
    Image: imageText(task.Spec?.ContainerSpec?.Image ?? ""),
    Node: nodeName,
    Address: addressOf(task, node),
    Health: healthOf(task, state),
    State: `${title(state)} ${ago(task.Status?.Timestamp, nowMs)}`.trimEnd(),
    Ports: portsOf(task, service),
    Env: (task.Spec?.ContainerSpec?.Env ?? []).map(masked).join(" "),
    Error: task.Status?.Err || (waits ? message : ""),
  };
}

/** In the overlay networks; a task in none is found at its node's address. */
function addressOf(task: ApiTask, node: ApiNode | undefined): string {
  const addresses = (task.NetworksAttachments ?? []).flatMap(({ Addresses }) => Addresses ?? [])
    .map((address) => address.replace(/\/\d+$/, ""));
  return addresses.join(",") || (node?.Status.Addr ?? "");
}

/** A task with a health check runs only once it is healthy. */
function healthOf(task: ApiTask, state: string): string {
  const test = task.Spec?.ContainerSpec?.Healthcheck?.Test;
  if (!test || test.length === 0 || test[0] === "NONE") return "-";
  if (state === "running") return "healthy";
  return state === "starting" ? "starting" : "-";
}

function portsOf(task: ApiTask, service: ApiService | undefined): string {
  const host = task.Status?.PortStatus?.Ports ?? [];
  const mesh = (service?.Endpoint?.Ports ?? []).filter(({ PublishMode }) => PublishMode !== "host");
  return [...host, ...mesh].map((port) =>
    `*:${port.PublishedPort}->${port.TargetPort}/${port.Protocol ?? "tcp"}`
  ).join(",");
}

const SECRET_NAME = /pass|secret|token|key|credential|auth|private/i;

/** `NAME=value`, with the value hidden where the name says that it is a secret. */
export function masked(entry: string): string {
  const at = entry.indexOf("=");
  return at > 0 && SECRET_NAME.test(entry.slice(0, at)) ? `${entry.slice(0, at)}=***` : entry;
}
