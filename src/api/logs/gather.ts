import { messageOf } from "../../base/errors.ts";
import type { Backend } from "../backend.ts";
import { followed } from "./follow.ts";
import { frame, SYSTEM } from "./frames.ts";
import { inPieces, merged, newest } from "./lines.ts";
import type { LineSource } from "./lines.ts";
import { linesOf, MAX_TASKS, withContainers } from "./task_log.ts";
import type { Gathering, LogQuery, LogSelection } from "./task_log.ts";

/**
 * The logs of the tasks, in frames or plain: what there is, by time, then, when followed, what comes, also from
 * tasks that begin later, until no more can come. What could not be had is named at the end instead of holding
 * the rest up; so is what ends everything.
 */
export async function* gatherLogs(
  backend: Backend,
  selection: LogSelection,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const gathering: Gathering = {
    ...{ backend, selection, query, signal },
    seen: new Map(),
    failures: new Map(),
  };
  const reasons = new Set<string>();
  try {
    yield* history(gathering);
    if (query.follow) yield* followed(gathering);
  } catch (error) {
    reasons.add(messageOf(error));
  }
  for (const reason of gathering.failures.values()) reasons.add(reason);
  if (reasons.size > 0 && !signal.aborted) {
    const sentence = new TextEncoder().encode(
      `Error grabbing logs: warning: incomplete log stream. some logs could not be retrieved for the following reasons: ${
        [...reasons].sort().join("; ")
      }\n`,
    );
    // Docker writes it between the lines where there are no frames.
    yield query.framed ? frame(SYSTEM, sentence) : sentence;
  }
}

async function* history(gathering: Gathering): AsyncGenerator<Uint8Array> {
  const { query, seen, signal } = gathering;
  const tasks = (await withContainers(gathering)).slice(0, MAX_TASKS);
  for (const { ID } of tasks) seen.set(ID, "");
  // Of each task its last line at least, also when none is shown: it is followed from there.
  const tail = query.tail === undefined ? undefined : Math.max(1, query.tail);
  const all = noting(
    merged(
      tasks.map((task) => linesOf(gathering, task, { ...query, tail, follow: false }, signal)),
    ),
    seen,
  );
  if (query.tail !== undefined) yield* inPieces(await newest(all, query.tail), query);
  else for await (const lines of all) yield* inPieces(lines, query);
}

/** Notes the time of each task's last line, of those too that are not shown. */
async function* noting(source: LineSource, seen: Map<string, string>): LineSource {
  for await (const lines of source) {
    for (const line of lines) seen.set(line.task.ID, line.time);
    yield lines;
  }
}
