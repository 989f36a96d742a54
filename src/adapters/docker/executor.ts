import { FleetError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Controller, Executor } from "../../core/task/controller.ts";
import type { NodeDescription, OverlaySupport } from "../../model/node.ts";
import type { Task } from "../../model/task.ts";
import { AttachmentController } from "./attachment_controller.ts";
import { containerNetworks } from "./container_networks.ts";
import type { OverlayNetworks } from "./container_networks.ts";
import { ContainerController } from "./container_controller.ts";
import type { ContainerParts } from "./container_controller.ts";
import { describeEngine } from "./description.ts";
import type { EngineInfo } from "./description.ts";
import { engineCall, engineJson, filtersQuery } from "./engine.ts";
import type { EngineApi } from "./engine.ts";
import { ContainerEvents } from "./events.ts";
import { Images } from "./images.ts";
import { LABEL } from "./labels.ts";
import { limiter } from "./limiter.ts";
import type { TaskFiles } from "./task_files.ts";

/** Creates and starts on one engine at once; more only makes each of them slower (measured: DESIGN.md). */
const MAX_CREATING = 4;
const MAX_STARTING = 4;
/** Stops mostly wait for the program, so more of them fit. */
const MAX_STOPPING = 16;
const INFO_TIMEOUT_MS = 10_000;

export interface DockerExecutorOptions {
  readonly engine: EngineApi;
  readonly logger: Logger;
  /** Marks the node's containers: only those with it are ever touched. */
  readonly nodeId: string;
  /** Instead of the engine's own. */
  readonly hostname: string | undefined;
  readonly files: TaskFiles;
  /** The node's overlay networks; without them tasks that need one are rejected. */
  readonly overlays?: OverlayNetworks;
  /** What the node can do for overlay networks, for its description. */
  readonly overlaySupport?: (signal: AbortSignal) => Promise<OverlaySupport>;
}

/** Runs tasks as containers of the node's Docker Engine. */
export class DockerExecutor implements Executor {
  readonly #options: DockerExecutorOptions;
  readonly #events: ContainerEvents;
  readonly #parts: ContainerParts;
  #info: EngineInfo | undefined;

  constructor(options: DockerExecutorOptions) {
    this.#options = options;
    const { engine, logger, files, nodeId } = options;
    this.#events = new ContainerEvents(engine, logger, { label: `${LABEL.owner}=${nodeId}` });
    this.#parts = {
      engine,
      events: this.#events,
      images: new Images(engine),
      node: () => ({
        id: nodeId,
        hostname: options.hostname ?? this.#info?.Name ?? "",
        architecture: this.#info?.Architecture ?? "",
        os: this.#info?.OSType ?? "linux",
      }),
      prepareFiles: (task, node) => files.prepare(task, node),
      removeFiles: (taskId) => files.remove(taskId),
      networks: (task, signal) => containerNetworks(task, options.overlays, signal),
      creating: limiter(MAX_CREATING),
      starting: limiter(MAX_STARTING),
      stopping: limiter(MAX_STOPPING),
    };
  }

  /** Follows the engine's events until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#events.run(signal);
  }

  async ping(signal: AbortSignal): Promise<void> {
    await engineCall(this.#options.engine, "GET", "/_ping", { signal });
  }

  async describe(signal: AbortSignal): Promise<NodeDescription> {
    this.#info = await engineInfo(this.#options.engine, signal);
    const description = describeEngine(this.#info, this.#options.hostname);
    const overlay = await this.#options.overlaySupport?.(signal);
    return overlay ? { ...description, Overlay: overlay } : description;
  }

  controller(task: Task): Controller {
    return task.Spec.NetworkAttachmentSpec
      ? new AttachmentController(task, this.#parts)
      : new ContainerController(task, this.#parts);
  }

  async taskIds(signal: AbortSignal): Promise<string[]> {
    const containers = await this.#list(`${LABEL.owner}=${this.#options.nodeId}`, signal);
    const ids = new Set(await this.#options.files.taskIds());
    for (const { Labels } of containers) if (Labels[LABEL.taskId]) ids.add(Labels[LABEL.taskId]!);
    return [...ids].sort();
  }

  async removeUnknown(taskId: string, signal: AbortSignal): Promise<void> {
    for (const { Id, Labels } of await this.#list(`${LABEL.taskId}=${taskId}`, signal)) {
      // The label of a task alone is no proof: Docker's own swarm mode sets it too.
      if (Labels[LABEL.owner] !== this.#options.nodeId) continue;
      await this.#parts.stopping(() =>
        engineCall(this.#options.engine, "DELETE", `/containers/${Id}?force=true&v=true`, {
          signal,
        })
      );
    }
    await this.#options.files.remove(taskId);
  }

  async #list(
    label: string,
    signal: AbortSignal,
  ): Promise<{ Id: string; Labels: Record<string, string> }[]> {
    const query = filtersQuery({ label: [label] });
    const path = `/containers/json?all=true&${query}`;
    return await engineJson(this.#options.engine, "GET", path, { signal });
  }
}

/** @throws FleetError unavailable when there is no usable engine, with what to do about it */
export async function checkEngine(engine: EngineApi): Promise<void> {
  const info = await engineInfo(engine, AbortSignal.timeout(INFO_TIMEOUT_MS));
  const state = info.Swarm?.LocalNodeState ?? "inactive";
  if (state !== "inactive") {
    throw new FleetError(
      "unavailable",
      `the Docker Engine on ${engine.socket} is in swarm mode itself (${state}): run docker -H unix://${engine.socket} swarm leave --force first`,
    );
  }
}

async function engineInfo(engine: EngineApi, signal: AbortSignal): Promise<EngineInfo> {
  return await engineJson<EngineInfo>(engine, "GET", "/info", { signal });
}
