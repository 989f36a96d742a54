import { sleep } from "../../base/clock.ts";
import type { Clock } from "../../base/clock.ts";
import { NS_PER_MS, parseDuration } from "../../base/duration.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { withoutLength } from "../../model/network.ts";
import type { Task, TaskStatus } from "../../model/task.ts";

/** Looks at the connections of a container; `src/adapters/host` and `network` implement it. */
export interface ConnectionCounter {
  /** Connections that others opened to the container with this first process; 0 when it is gone. */
  inbound(pid: number): Promise<number>;
  /** Whether the kernel still remembers connections to these addresses which are over. */
  remembered(addresses: readonly string[], signal: AbortSignal): Promise<boolean>;
}

export interface DrainingOptions {
  readonly connections: ConnectionCounter;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Label of a service: how long its tasks may finish their connections, as a duration; `0s` for none. */
export const DRAIN_LABEL = "fleet.drain";
const DEFAULT_DRAIN_MS = 10_000;
/** No label makes it longer. */
const MAX_DRAIN_MS = 10 * 60_000;
/**
 * The managers are waited for this long: by then a new leader is there, and a node that does not answer
 * is down and not waited for any more.
 */
const OUT_TIMEOUT_MS = 20_000;
const LOOK_EVERY_MS = 100;
/**
 * Connections that are over are forgotten within a second (`nft_memory.ts`). An engine that removes the
 * container while some are remembered may end other connections of their clients.
 */
const FORGOTTEN_TIMEOUT_MS = 2_000;
const FORGOTTEN_LOOK_EVERY_MS = 300;
/** Answers that came before their task was asked to stop; older ones are dropped. */
const MAX_EARLY = 1_000;

/**
 * What happens between "this task shall stop" and its first signal: it waits until no node sends to it
 * any more, then until its connections are done, and until the kernel has forgotten them, all bounded.
 */
export class Draining {
  readonly #options: DrainingOptions;
  readonly #out = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  constructor(options: DrainingOptions) {
    this.#options = options;
  }

  /** The managers say: no node sends new connections to the task. */
  drained(taskId: string): void {
    const wake = this.#waiting.get(taskId);
    if (wake) return wake();
    if (this.#out.size >= MAX_EARLY) this.#out.clear();
    this.#out.add(taskId);
  }

  /** Returns when the task may be told to end. @throws the signal's reason */
  async wait(task: Task, status: TaskStatus, signal: AbortSignal): Promise<void> {
    const limitMs = drainMs(task);
    if (!isBalanced(task) || limitMs === 0) return;
    const { clock, logger } = this.#options;
    const begun = clock.monotonic();
    if (!await this.#untilOut(task.ID, signal)) {
      logger.log("info", "not all nodes said in time that they send nothing to the task any more", {
        task: task.ID,
      });
    }
    const pid = status.ContainerStatus?.PID;
    if (!pid) return;
    if (!await this.#untilDone(task, pid, limitMs, signal)) return;
    await this.#untilForgotten(task, signal);
    logger.log("debug", "the task is drained", { task: task.ID, ms: clock.monotonic() - begun });
  }

  /** False when its connections cannot be told, or are not done in time. */
  async #untilDone(
    task: Task,
    pid: number,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, logger, connections } = this.#options;
    const end = clock.monotonic() + limitMs;
    for (let open = 1; open > 0;) {
      try {
        open = await connections.inbound(pid);
      } catch (error) {
        logger.log("debug", "connections cannot be counted", { error: messageOf(error) });
        return false;
      }
      signal.throwIfAborted();
      if (open === 0) break;
      if (clock.monotonic() >= end) {
        logger.log("info", "the task is stopped with connections open: its time to drain is over", {
          task: task.ID,
          open,
          drain: `${limitMs / 1000}s`,
        });
        return false;
      }
      await sleep(clock, LOOK_EVERY_MS, signal);
    }
    return true;
  }

  async #untilForgotten(task: Task, signal: AbortSignal): Promise<void> {
    const { clock, logger, connections } = this.#options;
    const addresses = (task.NetworksAttachments ?? []).flatMap(({ Addresses }) =>
      (Addresses ?? []).map(withoutLength)
    );
    const end = clock.monotonic() + FORGOTTEN_TIMEOUT_MS;
    try {
      while (await connections.remembered(addresses, signal)) {
        if (clock.monotonic() >= end) return;
        await sleep(clock, FORGOTTEN_LOOK_EVERY_MS, signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      logger.log("debug", "it cannot be told what the kernel remembers", {
        error: messageOf(error),
      });
    }
  }

  /** False when the managers did not say so in time. */
  async #untilOut(taskId: string, signal: AbortSignal): Promise<boolean> {
    if (this.#out.delete(taskId)) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.set(taskId, () => resolve(true));
    const cancel = this.#options.clock.after(OUT_TIMEOUT_MS, () => resolve(false));
    const abort = () => resolve(false);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await promise;
    } finally {
      cancel();
      signal.removeEventListener("abort", abort);
      this.#waiting.delete(taskId);
      signal.throwIfAborted();
    }
  }
}

/** Whether anything is sent to the task by way of a virtual address or a published port. */
function isBalanced(task: Task): boolean {
  return task.ServiceID !== undefined && (task.NetworksAttachments ?? []).length > 0;
}

function drainMs({ ServiceAnnotations }: Task): number {
  const label = ServiceAnnotations?.Labels?.[DRAIN_LABEL];
  if (label === undefined) return DEFAULT_DRAIN_MS;
  try {
    return Math.min(Math.max(0, parseDuration(label) / NS_PER_MS), MAX_DRAIN_MS);
  } catch {
    return DEFAULT_DRAIN_MS;
  }
}
