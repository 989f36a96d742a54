import { dependenciesOf } from "../../model/dependencies.ts";
import type { Condition } from "../../model/dependencies.ts";
import { isJobMode, modeOf } from "../../model/service.ts";
import type { Service } from "../../model/service.ts";
import { compareStates, isTerminal } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";

/**
 * Why a service's tasks must not start yet, in one sentence; undefined when nothing is in their way. What
 * has to have started or to be healthy counts until the service's first task has run: afterwards a service
 * comes back by itself, whatever became of the others. What has to be completed counts always, so that an
 * update waits for the job that prepares it.
 */
export function waitsFor(view: View, serviceId: string | undefined): string | undefined {
  const service = serviceId === undefined ? undefined : view.get("service", serviceId);
  if (!service) return undefined;
  const dependencies = dependenciesOf(service.Spec);
  if (dependencies.length === 0) return undefined;
  const ranBefore = hasRun(view, service);
  const reasons: string[] = [];
  for (const { name, condition } of dependencies) {
    if (ranBefore && condition !== "service_completed_successfully") continue;
    const other = view.byName("service", name);
    const state = other ? lackOf(view, other, condition) : "there is no such service";
    if (state !== undefined) reasons.push(`${name} (${state})`);
  }
  return reasons.length > 0 ? `waiting for ${reasons.join(", ")}` : undefined;
}

function hasRun(view: View, service: Service): boolean {
  for (const { Status } of view.tasksOfService(service.ID)) {
    if (["running", "complete", "shutdown", "failed"].includes(Status.State)) return true;
  }
  return false;
}

/** How far the service is from the condition; undefined when it is met. */
function lackOf(view: View, service: Service, condition: Condition): string | undefined {
  const tasks = [...view.tasksOfService(service.ID)].filter((task) => isCurrent(service, task));
  if (condition === "service_completed_successfully") {
    const done = tasks.filter(({ Status }) => Status.State === "complete").length;
    const wanted = wantedCompletions(service, tasks);
    return done >= wanted ? undefined : `${done} of ${wanted} completed`;
  }
  // A task with a health check is starting until it is healthy; one without runs at once.
  const least = condition === "service_healthy" ? "running" : "starting";
  const met = tasks.some(({ Status: { State } }) =>
    State === "complete" || (!isTerminal(State) && compareStates(State, least) >= 0)
  );
  if (met) return undefined;
  const furthest = tasks.map(({ Status }) => Status.State).filter((state) => !isTerminal(state))
    .sort(compareStates).at(-1);
  return furthest ?? "no task yet";
}

/** Of a job only the run that goes on now counts. */
function isCurrent(service: Service, task: Task): boolean {
  if (!isJobMode(modeOf(service.Spec))) return true;
  return (task.JobIteration?.Index ?? 0) === (service.JobStatus?.JobIteration.Index ?? 0);
}

function wantedCompletions(service: Service, tasks: readonly Task[]): number {
  const job = service.Spec.Mode?.ReplicatedJob;
  if (job) return job.TotalCompletions ?? job.MaxConcurrent ?? 1;
  if (!service.Spec.Mode?.GlobalJob) return 1;
  const wanted = tasks.filter(({ DesiredState }) => DesiredState === "complete");
  return Math.max(1, wanted.length);
}
