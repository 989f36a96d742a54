import type { ApiService } from "../api_types.ts";
import type { PortConfig } from "../../src/model/service_spec.ts";
import { renderList } from "./list.ts";
import type { ListOptions, ListShape } from "./list.ts";
import { naturalCompare } from "./natural_sort.ts";
import { imageText } from "./tasks.ts";
import { shortId } from "./text.ts";

const SERVICE_LIST: ListShape = {
  headers: {
    ID: "ID",
    Name: "NAME",
    Mode: "MODE",
    Replicas: "REPLICAS",
    Image: "IMAGE",
    Ports: "PORTS",
  },
  columns: ["ID", "Name", "Mode", "Replicas", "Image", "Ports"],
};

/** The list of services in the asked form, by name. */
export function renderServices(services: readonly ApiService[], options: ListOptions): string {
  const rows = [...services]
    .sort((a, b) => naturalCompare(a.Spec.Name ?? "", b.Spec.Name ?? ""))
    .map((service) => ({
      ID: shortId(service.ID),
      Name: service.Spec.Name ?? "",
      Mode: modeText(service),
      Replicas: replicasText(service),
      Image: imageText(service.Spec.TaskTemplate?.ContainerSpec?.Image ?? ""),
      Ports: portsText(service.Endpoint?.Ports ?? []),
    }));
  return renderList(SERVICE_LIST, rows, options);
}

/** The mode in words. */
export function modeText({ Spec: { Mode: mode } }: ApiService): string {
  if (mode?.Global) return "global";
  if (mode?.ReplicatedJob) return "replicated job";
  if (mode?.GlobalJob) return "global job";
  return "replicated";
}

function replicasText(service: ApiService): string {
  const { RunningTasks = 0, DesiredTasks = 0, CompletedTasks = 0 } = service.ServiceStatus ?? {};
  const count = `${RunningTasks}/${DesiredTasks}`;
  const mode = service.Spec.Mode;
  const most = service.Spec.TaskTemplate?.Placement?.MaxReplicas ?? 0;
  if (mode?.ReplicatedJob) {
    return `${count} (${CompletedTasks}/${mode.ReplicatedJob.TotalCompletions ?? 0} completed)`;
  }
  if (mode?.GlobalJob) {
    return `${count} (${CompletedTasks}/${DesiredTasks + CompletedTasks} completed)`;
  }
  return most > 0 && !mode?.Global ? `${count} (max ${most} per node)` : count;
}

/** Ports that every node accepts, with neighbouring ones as ranges: `*:8080-8081->80-81/tcp`. */
export function portsText(ports: readonly PortConfig[]): string {
  const ingress = ports
    .filter((port) => (port.PublishMode ?? "ingress") === "ingress")
    .map((port) => ({
      protocol: port.Protocol ?? "tcp",
      published: port.PublishedPort ?? 0,
      target: port.TargetPort ?? 0,
      length: 1,
    }))
    .sort((a, b) =>
      a.protocol < b.protocol
        ? -1
        : a.protocol > b.protocol
        ? 1
        : a.published - b.published || a.target - b.target
    );
  const ranges: typeof ingress = [];
  for (const port of ingress) {
    const last = ranges.at(-1);
    const follows = last && last.protocol === port.protocol &&
      last.published + last.length === port.published && last.target + last.length === port.target;
    if (follows) last.length++;
    else ranges.push({ ...port });
  }
  const span = (start: number, length: number) =>
    length === 1 ? `${start}` : `${start}-${start + length - 1}`;
  return ranges
    .map((range) =>
      `*:${span(range.published, range.length)}->${
        span(range.target, range.length)
      }/${range.protocol}`
    )
    .join(", ");
}
