import type { Span, Tracer } from "../../base/tracer.ts";
import { compareStates } from "../../model/task_state.ts";
import type { Task } from "../../model/task.ts";
import type { Change } from "../../model/view.ts";

/** Spans of one commit or one message; more traces in one have the others' spans missing. */
const MAX_TRACES = 16;

/**
 * Stores changes; each traced request whose tasks are among them gets a span with the loop's name, from
 * `beganMs` until they are stored.
 */
export async function commitTraced(
  tracer: Tracer,
  loop: string,
  { changes, beganMs }: { readonly changes: readonly Change[]; readonly beganMs: number },
  commit: () => Promise<unknown>,
): Promise<void> {
  const spans = startSpans(tracer, loop, changes.flatMap(startingTask), { startMs: beganMs });
  const [first] = spans;
  try {
    // The log entry is one, whoever's changes it holds: it is told as a part of the first.
    await (first ? tracer.within(first, commit) : commit());
    for (const span of spans) span.end();
  } catch (error) {
    for (const span of spans) span.end(error);
    throw error;
  }
}

/** Tasks that are on their way to a node, told to it in one message. */
export function traceAssignments(
  tracer: Tracer,
  nodeId: string,
  startMs: number,
  tasks: readonly Task[],
): void {
  const starting = tasks.filter(isStarting);
  const attributes = { "fleet.node": nodeId };
  for (const span of startSpans(tracer, "dispatcher", starting, { startMs, attributes })) {
    span.end();
  }
}

function startSpans(
  tracer: Tracer,
  name: string,
  tasks: readonly Task[],
  options: { readonly startMs: number; readonly attributes?: Readonly<Record<string, string>> },
): Span[] {
  const byTrace = new Map<string, number>();
  for (const { Trace } of tasks) {
    if (Trace !== undefined) byTrace.set(Trace, (byTrace.get(Trace) ?? 0) + 1);
  }
  return [...byTrace].slice(0, MAX_TRACES).map(([parent, count]) =>
    tracer.start(name, {
      parent,
      startMs: options.startMs,
      attributes: { ...options.attributes, "fleet.tasks": count },
    })
  );
}

function startingTask(change: Change): Task[] {
  return change.op !== "remove" && change.table === "task" && isStarting(change.object)
    ? [change.object]
    : [];
}

/** What becomes of a task once it runs is no part of the request that made it. */
function isStarting(task: Task): boolean {
  return task.Trace !== undefined && compareStates(task.Status.State, "assigned") <= 0 &&
    compareStates(task.DesiredState, "running") <= 0;
}
