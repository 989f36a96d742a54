import { fileIds, isSuperseded } from "../../model/file_versions.ts";
import type { FileKind } from "../../model/file_versions.ts";
import { isTerminal } from "../../model/task_state.ts";
import type { Change, View } from "../../model/view.ts";

/**
 * Removes an old version of a secret or config when nothing refers to it any more: no service, not even by
 * the spec that it would roll back to, and no task that has not ended.
 */
export function forgetSuperseded(view: View, kind: FileKind, id: string): Change[] {
  const object = view.get(kind, id);
  if (!object || !isSuperseded(object)) return [];
  for (const { Spec, PreviousSpec } of view.all("service")) {
    for (const spec of [Spec, PreviousSpec]) {
      if (fileIds(spec?.TaskTemplate?.ContainerSpec, kind).includes(id)) return [];
    }
  }
  for (const task of view.all("task")) {
    if (isTerminal(task.Status.State)) continue;
    if (fileIds(task.Spec.ContainerSpec, kind).includes(id)) return [];
  }
  return [{ op: "remove", table: kind, id }];
}
