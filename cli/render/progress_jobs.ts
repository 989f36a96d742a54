import { MAX_BARS, withLine } from "./progress_state.ts";
import type { Observation, ProgressState } from "./progress_state.ts";
import { slotNumbers, taskLine, tasksByNode, tasksBySlot } from "./progress_tasks.ts";
import { shortId } from "./text.ts";

/** A job's bar is full when its task is complete. */
const JOB_STEPS = 10;

/** One round of a replicated or global job: only tasks of the current run of the job count. */
export function jobProgress(
  before: ProgressState,
  seen: Observation,
): { state: ProgressState; complete: boolean } {
  const iteration = seen.service.JobStatus?.JobIteration.Index ?? 0;
  const current: Observation = {
    ...seen,
    tasks: seen.tasks.filter((task) => (task.JobIteration?.Index ?? 0) === iteration),
  };
  return seen.service.Spec.Mode?.ReplicatedJob
    ? replicatedJob(before, current)
    : globalJob(before, current);
}

function replicatedJob(before: ProgressState, seen: Observation) {
  const job = seen.service.Spec.Mode?.ReplicatedJob;
  const total = job?.TotalCompletions ?? job?.MaxConcurrent ?? 1;
  const tasks = tasksBySlot(seen);
  const all = [...tasks.values()];
  const completed = all.filter((task) => task.Status.State === "complete").length;
  const active = all.filter((task) => task.Status.State === "running").length;
  const atOnce = Math.min(job?.MaxConcurrent ?? total, total - completed);
  const numbered = slotNumbers(before, [...tasks.keys()], total);
  let state = withLine(numbered.state, {
    id: "job progress",
    text: `${completed} out of ${total} complete`,
    step: completed,
    steps: total,
  });
  state = withLine(state, { id: "active tasks", text: `${active} out of ${atOnce} tasks` });
  if (total <= MAX_BARS) {
    for (const [slot, task] of tasks) {
      // Slots of jobs begin at 0.
      const line = taskLine(`${slot + 1}/${total}`, task, false, JOB_STEPS);
      if (line) state = withLine(state, line);
    }
  }
  return { state, complete: completed >= total };
}

function globalJob(before: ProgressState, seen: Observation) {
  const tasks = tasksByNode(seen);
  const total = tasks.size;
  const completed = [...tasks.values()].filter((task) => task.Status.State === "complete").length;
  let state = withLine(before, {
    id: "job progress",
    text: total === 0 ? "waiting for tasks" : `${completed} out of ${total} complete`,
    ...(total === 0 ? {} : { step: completed, steps: total }),
  });
  if (total <= MAX_BARS) {
    for (const [node, task] of tasks) {
      const line = taskLine(shortId(node), task, false, JOB_STEPS);
      if (line) state = withLine(state, line);
    }
  }
  return { state, complete: total > 0 && completed === total };
}
