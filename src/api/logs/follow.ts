import type { Applied } from "../../model/view.ts";
import type { Task } from "../../model/task.ts";
import { after, inPieces } from "./lines.ts";
import type { LogLine } from "./lines.ts";
import { linesOf, MAX_TASKS, withContainers } from "./task_log.ts";
import type { Gathering } from "./task_log.ts";

/** What has come of one task and waits for the reader; its stream waits until it is taken. */
interface Waiting {
  readonly lines: readonly LogLine[];
  readonly taken: () => void;
}

/**
 * Lines as they come, of the tasks there are and of those that begin meanwhile, until no more can come. Of each
 * task at most two batches are held, whatever the reader does.
 */
export async function* followed(gathering: Gathering): AsyncGenerator<Uint8Array> {
  const { backend, selection, query, seen, signal } = gathering;
  const waiting: Waiting[] = [];
  /** Tasks whose log is read, and those whose log has ended; forgotten when the task is. */
  const reading = new Set<string>();
  const ended = new Set<string>();
  const controller = new AbortController();
  const inner = AbortSignal.any([signal, controller.signal]);
  let look = true;
  let wake: () => void = () => {};
  const lookAgain = () => {
    look = true;
    wake();
  };
  const pump = async (task: Task, since: string) => {
    const own = { ...query, tail: undefined, since };
    for await (const lines of linesOf(gathering, task, own, inner)) {
      if (inner.aborted) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ lines, taken: resolve });
      wake();
      await promise;
    }
    reading.delete(task.ID);
    ended.add(task.ID);
    lookAgain();
  };
  const begin = async () => {
    const tasks = await withContainers(gathering);
    for (const task of tasks) {
      const { ID } = task;
      if (reading.has(ID) || ended.has(ID) || reading.size >= MAX_TASKS) continue;
      reading.add(ID);
      const last = seen.get(ID);
      void pump(task, last ? after(last) : query.since);
    }
    const there = new Set(tasks.map(({ ID }) => ID));
    for (const set of [ended, seen]) {
      for (const ID of set.keys()) if (!there.has(ID) && !reading.has(ID)) set.delete(ID);
    }
  };
  const unwatch = backend.watch((changes: readonly Applied[]) => {
    if (changes.some(({ table }) => table === "task" || table === "service")) lookAgain();
  });
  signal.addEventListener("abort", () => wake(), { once: true });
  try {
    while (!signal.aborted) {
      if (look) {
        look = false;
        await begin();
      }
      const taken = waiting.splice(0);
      if (taken.length > 0) {
        for (const each of taken) each.taken();
        yield* inPieces(taken.flatMap(({ lines }) => lines), query);
      } else if (!look) {
        const over = reading.size === 0 &&
          !(await backend.read((view) => selection.goesOn(view))).value;
        // Meanwhile something may have happened.
        if (look || waiting.length > 0 || signal.aborted) continue;
        if (over) return;
        await new Promise<void>((resolve) => wake = resolve);
      }
    }
  } finally {
    unwatch();
    controller.abort();
    for (const each of waiting.splice(0)) each.taken();
  }
}
