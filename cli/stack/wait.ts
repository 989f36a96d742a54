import type { ApiNode, ApiService, ApiTask } from "../api_types.ts";
import { ApiError, ConnectError } from "../client.ts";
import { EXIT } from "../exit_codes.ts";
import { filtersText } from "../query.ts";
import { stepProgress } from "../render/progress.ts";
import { INITIAL_PROGRESS } from "../render/progress_state.ts";
import type { ProgressState } from "../render/progress_state.ts";
import type { VerbContext } from "../verb.ts";
import { lastLogLines } from "./last_lines.ts";
import { stackFilter } from "./observe.ts";

/** Time between two looks at the stack. */
const POLL_MS = 300;
/** So many looks in a row may fail (a leader change, a restarting agent) before the wait gives up. */
const MAX_FAILURES = 60;
/** Lines of a failing task's log that are shown. */
const LOG_LINES = 10;

/** A service to wait for. How an earlier update of one that is not `changed` ended says nothing. */
export interface AwaitedService {
  readonly id: string;
  readonly changed: boolean;
}

export interface StackWaitOptions {
  readonly quiet: boolean;
  readonly timeoutMs: number;
}

/**
 * Waits until every service has settled, a line for each that does. What did not is told at the end with
 * its newest failure and the last lines of that task's log. Ctrl-C ends the wait, not the work.
 */
export async function waitForStack(
  context: VerbContext,
  stack: string,
  services: ReadonlyMap<string, AwaitedService>,
  { quiet, timeoutMs }: StackWaitOptions,
): Promise<number> {
  const { env } = context;
  const until = env.now() + timeoutMs;
  const states = new Map<string, ProgressState>(
    [...services.values()].map(({ id }) => [id, INITIAL_PROGRESS]),
  );
  const unchanged = new Set(
    [...services.values()].filter(({ changed }) => !changed).map(({ id }) => id),
  );
  const said = new Map<string, string>();
  const controller = new AbortController();
  const stopListening = env.onInterrupt(() => controller.abort());
  const open = () => [...states].filter(([, state]) => !state.outcome).map(([id]) => id);
  let failures = 0;
  try {
    while (open().length > 0 && env.now() < until) {
      try {
        const look = await lookAt(context, stack, unchanged, controller.signal);
        for (const id of open()) step(context, id, look, states, said, quiet);
        failures = 0;
      } catch (error) {
        const passing = error instanceof ConnectError ||
          (error instanceof ApiError && error.status >= 500);
        if (!passing || ++failures > MAX_FAILURES) throw error;
      }
      if (open().length > 0) await env.sleep(POLL_MS, controller.signal);
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    if (!quiet) context.print(`Going on in the background: fleet stack ps ${stack}`);
    return EXIT.ok;
  } finally {
    stopListening();
  }
  return await conclude(context, services, states, quiet, stack, timeoutMs);
}

interface Look {
  readonly services: ReadonlyMap<string, ApiService>;
  readonly tasks: readonly ApiTask[];
  readonly activeNodes: ReadonlySet<string>;
}

async function lookAt(
  { client }: VerbContext,
  stack: string,
  unchanged: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Look> {
  const filters = stackFilter(stack);
  const [services, tasks, nodes] = await Promise.all([
    client.get<ApiService[]>("/services", { query: { filters: filtersText([], filters) }, signal }),
    client.get<ApiTask[]>("/tasks", {
      query: { filters: filtersText([], { ...filters, "_up-to-date": ["true"] }) },
      signal,
    }),
    client.get<ApiNode[]>("/nodes", { signal }),
  ]);
  return {
    services: new Map(services.map((service) => {
      const { UpdateStatus: _, ...rest } = service;
      return [service.ID, unchanged.has(service.ID) ? rest : service];
    })),
    tasks,
    activeNodes: new Set(
      nodes.filter((node) => node.Status.State !== "down").map((node) => node.ID),
    ),
  };
}

function step(
  context: VerbContext,
  id: string,
  look: Look,
  states: Map<string, ProgressState>,
  said: Map<string, string>,
  quiet: boolean,
): void {
  const service = look.services.get(id);
  const before = states.get(id) ?? INITIAL_PROGRESS;
  if (!service) {
    states.set(id, { ...before, outcome: { kind: "paused", message: "the service was removed" } });
    return;
  }
  const tasks = look.tasks.filter((task) => task.ServiceID === id);
  const now = context.env.now();
  const state = stepProgress(before, { service, tasks, activeNodes: look.activeNodes }, now);
  states.set(id, state);
  if (quiet) return;
  const name = service.Spec.Name ?? id;
  if (state.outcome?.kind === "converged") context.print(`${name}: converged`);
  else {
    const trouble = newestFailure(tasks)?.Status.Err ?? "";
    if (trouble !== "" && said.get(id) !== trouble) {
      said.set(id, trouble);
      context.print(`${name}: ${trouble}`);
    }
  }
}

/** The newest task that ended badly, or that cannot begin and says why. */
function newestFailure(tasks: readonly ApiTask[]): ApiTask | undefined {
  return [...tasks].filter((task) => (task.Status.Err ?? "") !== "")
    .sort((a, b) => (a.Status.Timestamp ?? "") < (b.Status.Timestamp ?? "") ? 1 : -1)[0];
}

async function conclude(
  context: VerbContext,
  services: ReadonlyMap<string, AwaitedService>,
  states: ReadonlyMap<string, ProgressState>,
  quiet: boolean,
  stack: string,
  timeoutMs: number,
): Promise<number> {
  const bad: string[] = [];
  for (const [name, { id }] of services) {
    const outcome = states.get(id)?.outcome;
    if (outcome?.kind === "converged") continue;
    bad.push(name);
    context.warn(
      outcome === undefined
        ? `${name}: failed: not settled within ${Math.round(timeoutMs / 1000)} s`
        : outcome.kind === "rolled-back"
        ? `${name}: rolled back: ${outcome.message}`
        : `${name}: failed: ${outcome.message}`,
    );
    await explain(context, id);
  }
  if (bad.length === 0) {
    if (!quiet) context.print(`Stack ${stack} converged`);
    return EXIT.ok;
  }
  context.warn(`Stack ${stack} did not converge: ${bad.join(", ")}`);
  return EXIT.notConverged;
}

/** The newest failure of a service and what its task said last. */
async function explain(context: VerbContext, serviceId: string): Promise<void> {
  try {
    const tasks = await context.client.get<ApiTask[]>("/tasks", {
      query: { filters: filtersText([], { service: [serviceId] }) },
    });
    const task = newestFailure(tasks);
    if (!task) return;
    context.warn(`    task ${task.ID}: ${task.Status.Err}`);
    for (const line of await lastLogLines(context, task, LOG_LINES)) {
      context.warn(`    | ${line}`);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // The failure itself was told; that its log is gone takes nothing from it.
  }
}
