import type { Controller, Exit, TaskFacts } from "../../core/task/controller.ts";
import { TemporaryError } from "../../core/task/controller.ts";
import { FleetError } from "../../base/errors.ts";
import { timeMs } from "../../model/meta.ts";
import { ATTACHMENT_LABEL } from "../../model/network.ts";
import type { Task } from "../../model/task.ts";
import { pause } from "./abortable.ts";
import type { ContainerParts } from "./container_controller.ts";
import { EngineError, engineJson, filtersQuery } from "./engine.ts";

/** The engine is asked this often whether the container is still there. */
const LOOK_EVERY_MS = 1_000;
/** From the attachment until the engine has made the container. */
const CREATION_MS = 10_000;

/**
 * The place that a container of the user has on an overlay network, as a task: it runs as long as the
 * container exists, stopped or not, since it may be started again with the address that it has.
 * The container itself is the user's and is never touched.
 */
export class AttachmentController implements Controller {
  readonly #task: Task;
  readonly #parts: Pick<ContainerParts, "engine" | "networks">;
  #seen = false;

  constructor(task: Task, parts: Pick<ContainerParts, "engine" | "networks">) {
    this.#task = task;
    this.#parts = parts;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    await this.#parts.networks(this.#task, signal);
  }

  async start(): Promise<void> {}

  async wait(signal: AbortSignal): Promise<Exit> {
    for (;;) {
      signal.throwIfAborted();
      if (await this.#exists(signal)) this.#seen = true;
      else if (this.#seen || Date.now() - timeMs(this.#task.CreatedAt) > CREATION_MS) {
        return { code: 0 };
      }
      await pause(LOOK_EVERY_MS, signal);
    }
  }

  async shutdown(): Promise<void> {}

  async remove(): Promise<void> {}

  facts(): Promise<TaskFacts> {
    return Promise.resolve({});
  }

  async #exists(signal: AbortSignal): Promise<boolean> {
    const { engine } = this.#parts;
    const id = this.#task.Spec.NetworkAttachmentSpec?.ContainerID;
    const filter = id ? { id: [id] } : { label: [`${ATTACHMENT_LABEL}${this.#task.ID}`] };
    try {
      const path = `/containers/json?all=true&${filtersQuery(filter)}`;
      return (await engineJson<unknown[]>(engine, "GET", path, { signal })).length > 0;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EngineError) return this.#seen;
      if (error instanceof FleetError && error.kind === "unavailable") {
        throw new TemporaryError(error.message);
      }
      throw error;
    }
  }
}
