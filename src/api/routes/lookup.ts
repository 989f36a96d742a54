import { FleetError } from "../../base/errors.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import { taskName } from "../../model/task.ts";
import type { View } from "../../model/view.ts";

/** Whether an object is called so; nodes go by their host name, and by the name they were given. */
function isCalled(table: TableName, object: Objects[TableName], name: string): boolean {
  if (table === "node") {
    const { Description, Spec } = object as Objects["node"];
    return Description?.Hostname === name || Spec.Name === name;
  }
  if (table === "task") return taskName(object as Objects["task"]) === name;
  return (object as Objects["service"]).Spec.Name === name;
}

/**
 * An object by full id, name, or the beginning of its id, in this order.
 * @throws FleetError not-found, invalid (ambiguous), in Docker's words
 */
export function lookUp<T extends TableName>(view: View, table: T, reference: string): Objects[T] {
  const exact = view.get(table, reference);
  if (exact) return exact;
  const named: Objects[T][] = [];
  const prefixed: Objects[T][] = [];
  for (const object of view.all(table)) {
    if (isCalled(table, object, reference)) named.push(object);
    if (reference !== "" && object.ID.startsWith(reference)) prefixed.push(object);
  }
  const found = named.length > 0 ? named : prefixed;
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    throw new FleetError(
      "invalid",
      `${table} ${reference} is ambiguous (${found.length} matches found)`,
    );
  }
  throw new FleetError("not-found", `${table} ${reference} not found`);
}
