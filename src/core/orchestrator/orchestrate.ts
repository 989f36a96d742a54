import { unreachable } from "../../base/assert.ts";
import { modeOf } from "../../model/service.ts";
import { Draft } from "./draft.ts";
import { reconcileGlobal } from "./global.ts";
import { reconcileGlobalJob, reconcileReplicatedJob } from "./jobs.ts";
import { outcomeOf } from "./outcome.ts";
import type { Outcome, Situation } from "./outcome.ts";
import { reconcileReplicated } from "./replicated.ts";

/**
 * The orchestrator's one entry: what one service, existing or gone, needs changed now. To be asked again
 * whenever the service, one of its tasks, a node with such a task or (global modes) any node changed.
 */
export function orchestrate(situation: Situation, serviceId: string): Outcome {
  const service = situation.view.get("service", serviceId);
  if (!service || service.PendingDelete) return removeAll(situation, serviceId);
  const draft = new Draft(situation, serviceId);
  const mode = modeOf(service.Spec);
  switch (mode) {
    case "replicated":
      reconcileReplicated(draft);
      break;
    case "global":
      reconcileGlobal(draft);
      break;
    case "replicated-job":
      reconcileReplicatedJob(draft);
      break;
    case "global-job":
      reconcileGlobalJob(draft);
      break;
    default:
      unreachable(mode, "service mode");
  }
  return draft.outcome();
}

/** A deleted service's tasks are stopped and removed; one that waited for that goes with the last. */
function removeAll(situation: Situation, serviceId: string): Outcome {
  const draft = new Draft(situation, serviceId);
  const tasks = [...draft.tasks()];
  for (const task of tasks) draft.raise(task, "remove");
  if (tasks.length === 0 && situation.view.get("service", serviceId)) {
    return outcomeOf([{ op: "remove", table: "service", id: serviceId }]);
  }
  return draft.outcome();
}
