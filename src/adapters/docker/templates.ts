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
 * Expands the placeholders that Swarm documents for env, mounts and host name. Only they are known, not
 * Go's whole template language: `.Service.{ID,Name,Labels,Labels.x}`, `index .Service.Labels "x"`,
 * `.Node.{ID,Hostname,Platform.OS,Platform.Architecture}`, `.Task.{ID,Name,Slot}`.
 * @throws FleetError invalid for anything else between braces, and for a label that is not there
 */
export function expand(text: string, task: Task, node: TemplateNode): string {
  if (!text.includes("{{")) return text;
  const expanded = text.replace(
    /(\s*\{\{-\s|\{\{)\s*(.*?)\s*(\s-\}\}\s*|\}\})/g,
    (whole, _open, inside: string) => {
      const value = lookUp(inside, task, node);
      if (value === undefined) {
        throw new FleetError(
          "invalid",
          `invalid template ${whole.trim()}: known are .Service.ID, .Service.Name, .Service.Labels, .Node.ID, .Node.Hostname, .Node.Platform.OS, .Node.Platform.Architecture, .Task.ID, .Task.Name, .Task.Slot, and labels that the service has`,
        );
      }
      return value;
    },
  );
  return expanded;
}

function lookUp(path: string, task: Task, node: TemplateNode): string | undefined {
  const labels = task.ServiceAnnotations?.Labels ?? {};
  const field = /^\.Service\.Labels\.([A-Za-z_]\w*)$/.exec(path)?.[1];
  if (field !== undefined) return labels[field];
  // Go's `index` gives the empty string for a key that is not there.
  const key = /^index\s+\.Service\.Labels\s+(?:"([^"]*)"|`([^`]*)`)$/.exec(path);
  if (key) return labels[key[1] ?? key[2] ?? ""] ?? "";
  switch (path) {
    case ".Service.ID":
      return task.ServiceID ?? "";
    case ".Service.Name":
      return task.ServiceAnnotations?.Name ?? "";
    case ".Service.Labels":
      return `map[${
        Object.keys(labels).sort().map((name) => `${name}:${labels[name]}`).join(" ")
      }]`;
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
