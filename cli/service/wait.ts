import type { ApiNode, ApiService, ApiTask } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import type { ApiClient } from "../client.ts";
import { NotConvergedError } from "../exit_codes.ts";
import { filtersText, segment } from "../query.ts";
import { stepProgress } from "../render/progress.ts";
import { progressDisplay } from "../render/progress_display.ts";
import { INITIAL_PROGRESS } from "../render/progress_state.ts";
import type { Observation, Outcome } from "../render/progress_state.ts";
import type { VerbContext } from "../verb.ts";

/** Time between two looks at the service, as Docker's client has it. */
const POLL_MS = 200;
/** So many looks in a row may fail (a leader change, a restarting agent) before the wait gives up. */
const MAX_FAILURES = 75;

export interface WaitOptions {
  readonly quiet?: boolean;
  /** A wanted roll-back is a success, any other one is not. */
  readonly rollback?: boolean;
}

/**
 * Shows the service's progress until it has converged. Ctrl-C ends the wait, not the work: then false.
 * @throws NotConvergedError when its update paused or was rolled back
 */
export async function waitForService(
  context: VerbContext,
  id: string,
  options: WaitOptions,
): Promise<boolean> {
  const { env } = context;
  const display = options.quiet ? undefined : progressDisplay(env.stdout);
  const controller = new AbortController();
  const stopListening = env.onInterrupt(() => controller.abort());
  let state = INITIAL_PROGRESS;
  try {
    while (state.outcome === undefined) {
      const seen = await lookPatiently(context, id, controller.signal);
      state = stepProgress(state, seen, env.now());
      display?.show(state.lines);
      if (state.outcome === undefined) await env.sleep(POLL_MS, controller.signal);
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    if (!options.quiet) {
      context.print("Operation continuing in background.");
      context.print(`Use \`fleet service ps ${id}\` to check progress.`);
    }
    return false;
  } finally {
    stopListening();
  }
  checkOutcome(state.outcome, options);
  return true;
}

async function lookPatiently(
  { env, client }: VerbContext,
  id: string,
  signal: AbortSignal,
): Promise<Observation> {
  for (let failures = 0;; failures++) {
    try {
      return await look(client, id, signal);
    } catch (error) {
      const passing = error instanceof ConnectError ||
        (error instanceof ApiError && error.status >= 500);
      if (!passing || failures >= MAX_FAILURES) throw error;
      await env.sleep(POLL_MS, signal);
    }
  }
}

async function look(client: ApiClient, id: string, signal: AbortSignal): Promise<Observation> {
  const filters = filtersText([], { service: [id], "_up-to-date": ["true"] });
  const [service, tasks, nodes] = await Promise.all([
    client.get<ApiService>(`/services/${segment(id)}`, { signal }),
    client.get<ApiTask[]>("/tasks", { query: { filters }, signal }),
    client.get<ApiNode[]>("/nodes", { signal }),
  ]);
  const active = nodes.filter((node) => node.Status.State !== "down").map((node) => node.ID);
  return { service, tasks, activeNodes: new Set(active) };
}

function checkOutcome(outcome: Outcome, options: WaitOptions): void {
  if (outcome.kind === "paused") throw new NotConvergedError(outcome.message);
  if (outcome.kind === "rolled-back" && !options.rollback) {
    throw new NotConvergedError(
      `the service was rolled back to its previous spec: ${outcome.message}`,
    );
  }
}
