import { FleetError } from "../../base/errors.ts";
import type { ControlContext } from "./context.ts";
import { find } from "./lookup.ts";
import type { ControlArgs, ControlResult } from "./methods.ts";

/** Changes nothing: it is asked for so that the audit log has who opened a terminal where. */
export function openTerminal(
  { tx }: ControlContext,
  { id }: ControlArgs<"terminal.open">,
): ControlResult<"terminal.open"> {
  const task = find(tx, "task", id);
  if (task.Status.State !== "running") {
    throw new FleetError("conflict", `task ${id} does not run: it is ${task.Status.State}`);
  }
  return null;
}
