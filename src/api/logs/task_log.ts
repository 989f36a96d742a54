import { messageOf } from "../../base/errors.ts";
import type { Task } from "../../model/task.ts";
import type { View } from "../../model/view.ts";
import type { Backend } from "../backend.ts";
import { readFrames } from "./frames.ts";
import { lineOf } from "./lines.ts";
import type { LineFormat, LineSource } from "./lines.ts";
import { readTerminalLines } from "./terminal_lines.ts";

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

/** Whose logs are wanted. */
export interface LogSelection {
  /** The tasks there are. */
  tasks(view: View): readonly Task[];
  /** Whether more may come: of other tasks, or of those whose log has ended for now. */
  goesOn(view: View): boolean;
}

/** Tasks whose logs are read for one request at a time. */
export const MAX_TASKS = 1_024;

/** What is known of one request's tasks while their logs are read. */
export interface Gathering {
  readonly backend: Backend;
  readonly selection: LogSelection;
  readonly query: LogQuery;
  readonly signal: AbortSignal;
  /** The time of each task's last line; empty when it had none. */
  readonly seen: Map<string, string>;
  /** By task, what could not be had. */
  readonly failures: Map<string, string>;
}

/** The tasks that have had a container, and so a log. */
export async function withContainers({ backend, selection }: Gathering): Promise<Task[]> {
  const { value } = await backend.read((view) => selection.tasks(view));
  return value.filter((task) => task.NodeID && task.Status.ContainerStatus?.ContainerID);
}

/** One task's lines. A failure is noted and ends them. */
export async function* linesOf(
  { backend, failures }: Gathering,
  task: Task,
  query: LogQuery,
  signal: AbortSignal,
): LineSource {
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
    // The service's tasks may be from before and after it was given a terminal.
    const terminal = task.Spec.ContainerSpec?.TTY ?? false;
    const messages = terminal ? readTerminalLines(answer.body) : readFrames(answer.body);
    for await (const some of messages) yield some.map((each) => lineOf(task, each));
  } catch (error) {
    if (!signal.aborted) failures.set(task.ID, messageOf(error));
  }
}
