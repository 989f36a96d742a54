import type { ContainerStatus, Task } from "../../model/task.ts";
import type { NodeDescription } from "../../model/node.ts";
import type { PortConfig } from "../../model/service_spec.ts";

/** How a task's program ended. */
export interface Exit {
  readonly code: number;
  /** More than the code: out of memory, unhealthy, removed behind our back. */
  readonly reason?: string;
}

/** An end that is no success, in Swarm's words. */
export function exitSentence({ code, reason }: Exit): string {
  return `task: non-zero exit (${code})${reason === undefined ? "" : `: ${reason}`}`;
}

/** Facts that the status carries from `starting` on. */
export interface TaskFacts {
  readonly container?: ContainerStatus;
  readonly ports?: readonly PortConfig[];
}

/**
 * Acts for one task. Every method may be called again after a crash: what is done already is left as it
 * is. Failures are thrown; their sentence becomes the task's error. A method that is aborted leaves
 * nothing behind that goes on by itself.
 */
export interface Controller {
  /** Image, files, container; nothing runs yet. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Starts the program and waits until it is healthy, when it has a health check. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when the program has ended, by whatever hand. */
  wait(signal: AbortSignal): Promise<Exit>;
  /** Asks the program to end, within its grace period; killed after it. Nothing to stop is fine. */
  shutdown(signal: AbortSignal): Promise<void>;
  /** Removes what the task left on the node. Nothing to remove is fine. */
  remove(signal: AbortSignal): Promise<void>;
  facts(): Promise<TaskFacts>;
}

/** What a node can run. */
export interface Executor {
  describe(signal: AbortSignal): Promise<NodeDescription>;
  controller(task: Task): Controller;
  /** Ids of all tasks of this cluster that have anything on this node. */
  taskIds(signal: AbortSignal): Promise<string[]>;
  /** Removes the remains of a task that nobody knows any more. */
  removeUnknown(taskId: string, signal: AbortSignal): Promise<void>;
}

/** A failure that may pass by itself: the engine is restarting. The step is tried again. */
export class TemporaryError extends Error {
  override readonly name = "TemporaryError";
}
