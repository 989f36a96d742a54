import type { ApiService } from "../api_types.ts";
import { jobProgress } from "./progress_jobs.ts";
import { withLine } from "./progress_state.ts";
import type { Observation, ProgressState } from "./progress_state.ts";
import { serviceProgress } from "./progress_tasks.ts";

/** Tasks must run this long before the service counts as converged, unless the spec says otherwise. */
const DEFAULT_MONITOR_MS = 5_000;

/** The next state of the display: Docker's rules of `service create` (reference section 2.7). */
export function stepProgress(
  before: ProgressState,
  seen: Observation,
  nowMs: number,
): ProgressState {
  const state = applyUpdateStatus(before, seen.service);
  if (state.outcome) return state;
  const monitorMs = monitorOf(seen.service);
  // A roll-back that has not ended is not over, even if its tasks run.
  const rollingBack = state.rollback && state.rolledBack === undefined;
  if (!rollingBack && state.convergedAt !== undefined && nowMs - state.convergedAt >= monitorMs) {
    return finish(state, seen.service.ID);
  }
  const mode = seen.service.Spec.Mode;
  if (mode?.ReplicatedJob || mode?.GlobalJob) {
    const { state: next, complete } = jobProgress(state, seen);
    return complete
      ? withLine({ ...next, outcome: { kind: "converged" } }, {
        id: "job complete",
        text: "",
      })
      : next;
  }
  const { state: next, converged } = serviceProgress(state, seen);
  if (!converged) {
    const { convergedAt, ...rest } = next;
    return convergedAt === undefined
      ? rest
      : withLine(rest, { id: "verify", text: "Detected task failure" });
  }
  const since = next.convergedAt ?? nowMs;
  const seconds = Math.floor((monitorMs - (nowMs - since)) / 1000) +
    (monitorMs > nowMs - since ? 1 : 0);
  const waiting = Math.min(seconds, Math.ceil(monitorMs / 1000));
  return withLine({ ...next, convergedAt: since }, {
    id: "verify",
    text: `Waiting ${waiting} seconds to verify that tasks are stable...`,
  });
}

function applyUpdateStatus(state: ProgressState, service: ApiService): ProgressState {
  const status = service.UpdateStatus;
  const message = status?.Message ?? "";
  const converging = state.convergedAt === undefined;
  switch (status?.State) {
    case "updating":
      return { ...state, rollback: false };
    case "completed":
      return converging ? { ...state, outcome: { kind: "converged" } } : state;
    case "paused":
      return paused(state, `service update paused: ${message}`);
    case "rollback_paused":
      return paused(state, `service rollback paused: ${message}`);
    case "rollback_started": {
      const next = { ...state, rollback: true };
      return !state.rollback && message !== ""
        ? withLine(next, { id: "rollback", text: message })
        : next;
    }
    case "rollback_completed":
      return { ...state, rollback: true, rolledBack: message };
    default:
      return state;
  }
}

function paused(state: ProgressState, message: string): ProgressState {
  return { ...state, outcome: { kind: "paused", message } };
}

function finish(state: ProgressState, id: string): ProgressState {
  const verified = withLine(state, { id: "verify", text: `Service ${id} converged` });
  if (state.rolledBack === undefined) return { ...verified, outcome: { kind: "converged" } };
  return {
    ...withLine(verified, { id: "rollback", text: state.rolledBack }),
    outcome: { kind: "rolled-back", message: state.rolledBack },
  };
}

function monitorOf(service: ApiService): number {
  return (service.Spec.UpdateConfig?.Monitor ?? 0) / 1e6 || DEFAULT_MONITOR_MS;
}
