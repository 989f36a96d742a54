import { FleetError, messageOf } from "../base/errors.ts";
import type { TemplateFunction } from "../base/template/functions.ts";
import { TemplateMap, TemplateRow } from "../base/template/row.ts";
import { compileTemplate } from "../base/template/template.ts";
import type { ServiceSpec } from "./service_spec.ts";
import { taskName } from "./task.ts";
import type { Task } from "./task.ts";

/** What `{{.Node.…}}` means on this node. */
export interface TemplateNode {
  readonly id: string;
  readonly hostname: string;
  readonly architecture: string;
  readonly os: string;
}

/**
 * Expands the placeholders that Swarm documents for env, mounts and host name: `.Service.{ID,Name,Labels}`,
 * `.Node.{ID,Hostname,Platform.OS,Platform.Architecture}`, `.Task.{ID,Name,Slot}`, in Go's template
 * language. @throws FleetError invalid for anything else, and for a label that is not there
 */
export function expand(text: string, task: Task, node: TemplateNode): string {
  return expandWith(text, task, node, {});
}

/** The contents that a task's templates may refer to, by the target that the task has them at. */
export interface PayloadFiles {
  secret(target: string): string | undefined;
  config(target: string): string | undefined;
}

/**
 * Expands the content of a secret or config that is a template: the placeholders of {@link expand}, and
 * `secret "target"`, `config "target"`, `env "NAME"` of the same task. @throws FleetError invalid
 */
export function expandPayload(
  text: string,
  task: Task,
  node: TemplateNode,
  files: PayloadFiles,
): string {
  const found = (kind: "secret" | "config"): TemplateFunction => ([target]) => {
    const content = files[kind](String(target));
    if (content === undefined) {
      throw new FleetError("invalid", `the task has no ${kind} "${target}"`);
    }
    return content;
  };
  return expandWith(text, task, node, {
    secret: found("secret"),
    config: found("config"),
    env: ([name]) => environmentOf(task, node, String(name)),
  });
}

function environmentOf(task: Task, node: TemplateNode, name: string): string {
  const entry = task.Spec.ContainerSpec?.Env?.findLast((each) => each.startsWith(`${name}=`));
  if (entry === undefined) throw new FleetError("invalid", `the task has no variable ${name}`);
  return expand(entry.slice(name.length + 1), task, node);
}

function expandWith(
  text: string,
  task: Task,
  node: TemplateNode,
  functions: Readonly<Record<string, TemplateFunction>>,
): string {
  if (!text.includes("{{")) return text;
  const row = (fields: Readonly<Record<string, unknown>>) => new TemplateRow(fields);
  try {
    return compileTemplate(text, functions)(row({
      Service: row({
        ID: task.ServiceID ?? "",
        Name: task.ServiceAnnotations?.Name ?? "",
        Labels: new TemplateMap(task.ServiceAnnotations?.Labels ?? {}),
      }),
      Node: row({
        ID: node.id,
        Hostname: node.hostname,
        Platform: row({ Architecture: node.architecture, OS: node.os }),
      }),
      Task: row({
        ID: task.ID,
        Name: taskName(task),
        Slot: String(task.Slot ?? task.NodeID ?? ""),
      }),
    }));
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    const what = text.length > 100 ? "" : ` "${text}"`;
    throw new FleetError("invalid", `expanding the template${what}: ${messageOf(error)}`);
  }
}

const DUMMY_NODE: TemplateNode = {
  id: "nodeID",
  hostname: "nodeHostname",
  architecture: "x86_64",
  os: "linux",
};

/** Expands a service's templates as for a task that is not there, so that mistakes are told at once. */
export function checkTemplates(spec: ServiceSpec): void {
  const container = spec.TaskTemplate?.ContainerSpec;
  const task = {
    ID: "taskID",
    NodeID: "nodeID",
    ServiceID: "serviceID",
    Slot: 1,
    Spec: spec.TaskTemplate ?? {},
    ServiceAnnotations: { Name: spec.Name ?? "", Labels: spec.Labels ?? {} },
  } as unknown as Task;
  const texts = [
    container?.Hostname ?? "",
    ...container?.Env ?? [],
    ...(container?.Mounts ?? []).flatMap((mount) => [
      mount.Source ?? "",
      mount.Target ?? "",
      ...Object.values(mount.VolumeOptions?.Labels ?? {}),
      ...Object.values(mount.VolumeOptions?.DriverConfig?.Options ?? {}),
    ]),
  ];
  for (const text of texts) expand(text, task, DUMMY_NODE);
}
