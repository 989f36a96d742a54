import { newId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { reap } from "../../core/orchestrator/reaper.ts";
import { reconcileReplicated, removeTasksOf } from "../../core/orchestrator/replicated.ts";
import { schedule } from "../../core/scheduler/scheduler.ts";
import { modeOf } from "../../model/service.ts";
import type { Applied, View } from "../../model/view.ts";
import type { Reconciler } from "./control_loop.ts";

/** Service ids that a change concerns: the service's own, its tasks', and those with tasks on a changed node. */
function* serviceKeys(change: Applied, view: View): Iterable<string> {
  if (change.table === "service") yield change.object.ID;
  else if (change.table === "task") {
    const task = change.object as Applied<"task">["object"];
    if (task.ServiceID) yield task.ServiceID;
  } else if (change.table === "node" && matters(change as Applied<"node">)) {
    for (const task of view.tasksOfNode(change.object.ID)) if (task.ServiceID) yield task.ServiceID;
  } else if (change.table === "cluster") yield* allServices(view);
}

/** Heartbeats and descriptions of a node that stays as it is are nobody's business. */
function matters({ object, previous }: Applied<"node">): boolean {
  return object.Status.State !== previous?.Status.State ||
    object.Spec.Availability !== previous?.Spec.Availability ||
    JSON.stringify(object.Spec.Labels) !== JSON.stringify(previous?.Spec.Labels);
}

/** Services, and those that only their tasks remember. */
function* allServices(view: View): Iterable<string> {
  const seen = new Set<string>();
  for (const service of view.all("service")) seen.add(service.ID);
  for (const task of view.all("task")) if (task.ServiceID) seen.add(task.ServiceID);
  yield* [...seen].sort();
}

export function replicatedReconciler(random: Random): Reconciler {
  return {
    name: "replicated orchestrator",
    allKeys: allServices,
    keysOf: serviceKeys,
    reconcile(view, key, nowMs) {
      const situation = { view, nowMs, newId: () => newId(random) };
      const service = view.get("service", key);
      if (!service) return removeTasksOf(situation, key);
      return modeOf(service.Spec) === "replicated"
        ? reconcileReplicated(situation, service)
        : { changes: [] };
    },
  };
}

export function reaperReconciler(random: Random): Reconciler {
  return {
    name: "task reaper",
    allKeys: allServices,
    keysOf: serviceKeys,
    reconcile: (view, key, nowMs) => reap({ view, nowMs, newId: () => newId(random) }, key),
  };
}

const EVERYTHING = "all";

export function schedulerReconciler(): Reconciler {
  return {
    name: "scheduler",
    allKeys: () => [EVERYTHING],
    *keysOf(change) {
      if (change.table === "node") yield EVERYTHING;
      if (change.table !== "task") return;
      const task = change.object as Applied<"task">["object"];
      const before = (change as Applied<"task">).previous;
      // A task that waits, or one that frees something for those that do.
      if (
        task.Status.State === "pending" || change.op === "remove" ||
        before?.Status.State !== task.Status.State
      ) {
        yield EVERYTHING;
      }
    },
    reconcile: (view, _key, nowMs) => ({ changes: schedule(view, nowMs) }),
  };
}
