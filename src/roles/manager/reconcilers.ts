import { newId } from "../../base/ids.ts";
import type { Random } from "../../base/random.ts";
import { concernsEnforcer, enforce } from "../../core/orchestrator/enforcer.ts";
import { orchestrate } from "../../core/orchestrator/orchestrate.ts";
import { reap } from "../../core/orchestrator/reaper.ts";
import { Scheduler } from "../../core/scheduler/scheduler.ts";
import type { Node } from "../../model/node.ts";
import { modeOf } from "../../model/service.ts";
import type { Applied, View } from "../../model/view.ts";
import type { Reconciler } from "./control_loop.ts";

/** Service ids that a change concerns: its own, its task's, and those that a changed node matters to. */
function* serviceKeys(change: Applied, view: View): Iterable<string> {
  if (change.table === "service") yield change.object.ID;
  else if (change.table === "task") {
    const task = change.object as Applied<"task">["object"];
    if (task.ServiceID) yield task.ServiceID;
  } else if (change.table === "node" && matters(change as Applied<"node">)) {
    for (const task of view.tasksOfNode(change.object.ID)) if (task.ServiceID) yield task.ServiceID;
    for (const service of view.all("service")) {
      if (modeOf(service.Spec).startsWith("global")) yield service.ID;
    }
  } else if (change.table === "cluster") yield* allServices(view);
}

/** Heartbeats and descriptions of a node that stays as it is are nobody's business. */
function matters({ object, previous }: Applied<"node">): boolean {
  return object.Status.State !== previous?.Status.State ||
    object.Spec.Availability !== previous?.Spec.Availability || concernsEnforcer(object, previous);
}

/** Services, and those that only their tasks remember. */
function* allServices(view: View): Iterable<string> {
  const seen = new Set<string>();
  for (const service of view.all("service")) seen.add(service.ID);
  for (const task of view.all("task")) if (task.ServiceID) seen.add(task.ServiceID);
  yield* [...seen].sort();
}

export function orchestratorReconciler(random: Random): Reconciler {
  return {
    name: "orchestrator",
    allKeys: allServices,
    keysOf: serviceKeys,
    reconcile: (view, key, nowMs) => orchestrate({ view, nowMs, newId: () => newId(random) }, key),
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

export function enforcerReconciler(random: Random): Reconciler {
  return {
    name: "constraint enforcer",
    allKeys: (view) => [...view.all("node")].map(({ ID }) => ID).sort(),
    *keysOf(change) {
      if (change.table !== "node" || change.op === "remove") return;
      const { object, previous } = change as Applied<"node">;
      if (concernsEnforcer(object, previous as Node | undefined)) yield object.ID;
    },
    reconcile: (view, key, nowMs) => enforce({ view, nowMs, newId: () => newId(random) }, key),
  };
}

const EVERYTHING = "all";

/** Holds what is on the nodes between looks; a full look starts it over from the store. */
export function schedulerReconciler(): Reconciler {
  const scheduler = new Scheduler();
  return {
    name: "scheduler",
    allKeys: (view) => {
      scheduler.resync(view);
      return [EVERYTHING];
    },
    keysOf: (change) => scheduler.apply([change]) ? [EVERYTHING] : [],
    reconcile: (view, _key, nowMs) => scheduler.schedule(view, nowMs),
  };
}
