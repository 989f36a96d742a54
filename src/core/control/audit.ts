import { FleetError } from "../../base/errors.ts";
import type { Audit } from "../../model/audit.ts";
import { timeText } from "../../model/meta.ts";
import { nodeName } from "../../model/node.ts";
import { SCHEMAS } from "../../model/objects.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import { taskName } from "../../model/task.ts";
import { clusterOf } from "../../model/view.ts";
import type { View } from "../../model/view.ts";
import type { ControlContext } from "./context.ts";
import type { ControlArgs, ControlMethod } from "./methods.ts";
import { perform } from "./perform.ts";
import type { ControlResult } from "./methods.ts";

/** Who asks, and on which manager's node. */
export interface Asker {
  readonly actor: string;
  readonly via: string;
}

/** A sentence is no place for a whole spec. */
const MAX_SENTENCE = 500;
const MAX_ACTOR = 200;

/** Performs a control method and notes in the same transaction who asked for it. */
export function performAudited<M extends ControlMethod>(
  context: ControlContext,
  method: M,
  args: ControlArgs<M>,
  asker: Asker,
): ControlResult<M> {
  const before = subjectOf(context.tx, method, args);
  const result = perform(context, method, args);
  const id = before.id ?? (result as { id?: string } | null)?.id;
  note(context, method, { ...before, ...(id === undefined ? {} : { id }) }, asker);
  return result;
}

/** Notes that something was asked for and refused. */
export function auditRefusal<M extends ControlMethod>(
  context: ControlContext,
  method: M,
  args: ControlArgs<M>,
  asker: Asker,
  refusal: string,
): void {
  note(context, method, subjectOf(context.tx, method, args), asker, refusal);
}

/** Whether a failure is worth an entry: somebody was told no, not just to try again. */
export function isRefusal(error: unknown): error is FleetError {
  return error instanceof FleetError &&
    ["invalid", "not-found", "conflict", "forbidden", "unauthorized"].includes(error.kind);
}

interface Subject {
  readonly id?: string;
  readonly name?: string;
  readonly version?: number;
}

function note(
  { tx, nowMs, newId }: ControlContext,
  method: ControlMethod,
  { id, name, version }: Subject,
  { actor, via }: Asker,
  refusal?: string,
): void {
  const time = timeText(nowMs);
  const entry: Audit = {
    ID: newId(),
    Version: { Index: 0 },
    CreatedAt: time,
    UpdatedAt: time,
    Actor: actor.slice(0, MAX_ACTOR),
    ...(via ? { Via: via } : {}),
    Action: method,
    ObjectType: method.split(".", 1)[0]!,
    ...(id ? { ObjectID: id } : {}),
    ...(name ? { ObjectName: name.slice(0, MAX_SENTENCE) } : {}),
    ...(version === undefined ? {} : { From: version }),
    ...(refusal === undefined ? {} : { Refusal: refusal.slice(0, MAX_SENTENCE) }),
  };
  tx.create("audit", entry);
}

/** What a call is about, as it is before the call. Never anything of a value or a key. */
function subjectOf(view: View, method: ControlMethod, args: unknown): Subject {
  const given = args as {
    id?: string;
    taskId?: string;
    networkId?: string;
    serviceId?: string;
    spec?: { Name?: string };
  };
  const type = method.split(".", 1)[0]!;
  if (type === "cluster" || type === "policy") {
    const cluster = clusterOf(view);
    return cluster ? { id: cluster.ID, name: "cluster", version: cluster.Version.Index } : {};
  }
  const table = type === "rebalance" ? "service" : type === "terminal" ? "task" : type;
  const id = given.id ?? given.networkId ?? given.taskId ?? given.serviceId;
  if (id === undefined || !Object.hasOwn(SCHEMAS, table)) {
    return given.spec?.Name ? { name: given.spec.Name } : id === undefined ? {} : { id };
  }
  const object = view.get(table as TableName, id);
  if (!object) return { id };
  return { id, name: nameOf(table as TableName, object), version: object.Version.Index };
}

function nameOf(table: TableName, object: Objects[TableName]): string {
  if (table === "node") return nodeName(object as Objects["node"]);
  if (table === "task") return taskName(object as Objects["task"]);
  return (object as Objects["service"]).Spec?.Name ?? "";
}
