import { FleetError } from "../../base/errors.ts";
import { taskName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";

/** What `{{.Node.…}}` means on this node. */
export interface TemplateNode {
  readonly id: string;
  readonly hostname: string;
  readonly architecture: string;
  readonly os: string;
}

/**
 * Expands Swarm's placeholders in env, mounts and host name: `.Service.{ID,Name,Labels.x}`,
 * `.Node.{ID,Hostname,Platform.OS,Platform.Architecture}`, `.Task.{ID,Name,Slot}`, and
 * `index .Service.Labels "x"`. @throws FleetError invalid for anything else between braces
 */
export function expand(text: string, task: Task, node: TemplateNode): string {
  if (!text.includes("{{")) return text;
  return text.replace(/\{\{\s*(.*?)\s*\}\}/g, (whole, inside: string) => {
    const value = lookUp(inside, task, node);
    if (value === undefined) {
      throw new FleetError(
        "invalid",
        `invalid template ${whole}: use .Service.ID, .Service.Name, .Service.Labels, .Node.ID, .Node.Hostname, .Task.ID, .Task.Name or .Task.Slot`,
      );
    }
    return value;
  });
}

function lookUp(path: string, task: Task, node: TemplateNode): string | undefined {
  const label = /^\.Service\.Labels\.(\S+)$/.exec(path)?.[1] ??
    /^index \.Service\.Labels "([^"]*)"$/.exec(path)?.[1];
  if (label !== undefined) return task.ServiceAnnotations?.Labels?.[label] ?? "";
  switch (path) {
    case ".Service.ID":
      return task.ServiceID ?? "";
    case ".Service.Name":
      return task.ServiceAnnotations?.Name ?? "";
    case ".Node.ID":
      return node.id;
    case ".Node.Hostname":
      return node.hostname;
    case ".Node.Platform.Architecture":
      return node.architecture;
    case ".Node.Platform.OS":
      return node.os;
    case ".Task.ID":
      return task.ID;
    case ".Task.Name":
      return taskName(task);
    case ".Task.Slot":
      return String(task.Slot ?? task.NodeID ?? "");
    default:
      return undefined;
  }
}
