import { FleetError } from "../../base/errors.ts";
import type { Objects, TableName } from "../../model/objects.ts";
import { taskName } from "../../model/task.ts";
import type { View } from "../../model/view.ts";

/** Names an object can be found by; nodes go by their host name. */
function nameOf(table: TableName, object: Objects[TableName]): string | undefined {
  if (table === "node") return (object as Objects["node"]).Description?.Hostname;
  if (table === "task") return taskName(object as Objects["task"]);
  return (object as Objects["service"]).Spec.Name;
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
    if (nameOf(table, object) === reference) named.push(object);
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
