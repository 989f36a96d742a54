import { messageOf } from "../../base/errors.ts";
import type { Task } from "../../model/task.ts";
import type { Applied, View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { frame, readFrames, SYSTEM } from "./frames.ts";
import { after, lineBytes, lineOf, merged, newest } from "./lines.ts";
import type { LineFormat, LogLine } from "./lines.ts";

export interface LogQuery extends LineFormat {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** The newest lines of all tasks together; undefined for all there are. */
  readonly tail: number | undefined;
  /** In the engine's words: a time, or seconds with nanoseconds. */
  readonly since: string;
  readonly until: string;
}

/** Tasks whose logs are read for one request. */
const MAX_TASKS = 1_024;
/** Lines of followed tasks that wait for a reader; beyond them the tasks' streams wait. */
const MAX_WAITING = 256;

/**
 * The logs of `tasks` as frames: what there is, by time, then, when followed, what comes, also from tasks
 * that begin later. What could not be had is named at the end instead of holding the rest up.
 */
export async function* gatherLogs(
  backend: Backend,
  select: (view: View) => readonly Task[],
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const failures = new Map<string, string>();
  const seen = new Map<string, string>();
  const tasks = await withContainers(backend, select);
  const known = tasks.map((task) =>
    linesOf(backend, task, { ...query, follow: false }, failures, signal)
  );
  const all = merged(known);
  const history = query.tail === undefined ? all : await newest(all, query.tail);
  for await (const line of history) {
    seen.set(line.task.ID, line.time);
    yield frame(line.stream, lineBytes(line, query));
  }
  if (query.follow) {
    for (const { ID } of tasks) if (!seen.has(ID)) seen.set(ID, "");
    yield* followed(backend, select, query, seen, failures, signal);
  }
  if (failures.size > 0 && !signal.aborted) {
    const reasons = [...new Set(failures.values())].sort().join("; ");
    yield frame(
      SYSTEM,
      new TextEncoder().encode(
        `Error grabbing logs: warning: incomplete log stream. some logs could not be retrieved for the following reasons: ${reasons}\n`,
      ),
    );
  }
}

async function withContainers(
  backend: Backend,
  select: (view: View) => readonly Task[],
): Promise<readonly Task[]> {
  const { value } = await backend.read((view) => select(view));
  return value.filter((task) => task.NodeID && task.Status.ContainerStatus?.ContainerID)
    .slice(0, MAX_TASKS);
}

/** One task's lines. A failure is noted and ends them. */
async function* linesOf(
  backend: Backend,
  task: Task,
  query: LogQuery,
  failures: Map<string, string>,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const params = new URLSearchParams({
    stdout: query.stdout ? "1" : "0",
    stderr: query.stderr ? "1" : "0",
    timestamps: "1",
    follow: query.follow ? "1" : "0",
    tail: query.tail === undefined ? "all" : String(query.tail),
    ...(query.since ? { since: query.since } : {}),
    ...(query.until ? { until: query.until } : {}),
  });
  try {
    const answer = await backend.askTask(task.ID, `logs?${params}`, signal);
    if (answer.status !== 200) {
      // Its container is gone, and its log with it.
      if (answer.status === 404) return;
      throw new Error(`the engine answered with status ${answer.status}`);
    }
    for await (const each of readFrames(answer.body)) yield lineOf(task, each);
  } catch (error) {
    if (!signal.aborted) failures.set(task.ID, messageOf(error));
  }
}

/** Lines as they come, of the tasks there are and of those that begin meanwhile. */
async function* followed(
  backend: Backend,
  select: (view: View) => readonly Task[],
  query: LogQuery,
  seen: Map<string, string>,
  failures: Map<string, string>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const waiting: LogLine[] = [];
  const followedIds = new Set<string>();
  let wake: () => void = () => {};
  let room: () => void = () => {};
  let look = true;
  const controller = new AbortController();
  const inner = AbortSignal.any([signal, controller.signal]);
  const pump = async (task: Task, since: string) => {
    const own = { ...query, tail: undefined, since };
    for await (const line of linesOf(backend, task, own, failures, inner)) {
      while (waiting.length >= MAX_WAITING && !inner.aborted) {
        await new Promise<void>((resolve) => {
          const before = room;
          room = () => {
            before();
            resolve();
          };
        });
      }
      if (inner.aborted) return;
      waiting.push(line);
      wake();
    }
  };
  const unwatch = backend.watch((changes: readonly Applied[]) => {
    if (!changes.some(({ table }) => table === "task")) return;
    look = true;
    wake();
  });
  signal.addEventListener("abort", () => wake(), { once: true });
  try {
    while (!signal.aborted) {
      if (look) {
        look = false;
        for (const task of await withContainers(backend, select)) {
          if (followedIds.has(task.ID) || followedIds.size >= MAX_TASKS) continue;
          followedIds.add(task.ID);
          const last = seen.get(task.ID);
          void pump(task, last ? after(last) : query.since);
        }
      }
      const line = waiting.shift();
      if (line) {
        const go = room;
        room = () => {};
        go();
        yield frame(line.stream, lineBytes(line, query));
      } else if (!look) await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    unwatch();
    controller.abort();
    room();
  }
}
