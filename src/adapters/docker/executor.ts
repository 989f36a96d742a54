import { FleetError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Controller, Executor } from "../../core/task/controller.ts";
import type { NodeDescription } from "../../model/node.ts";
import type { Task } from "../../model/task.ts";
import { ContainerController } from "./container_controller.ts";
import type { ContainerParts } from "./container_controller.ts";
import type { Engine } from "./engine.ts";
import { ContainerEvents } from "./events.ts";
import { Images } from "./images.ts";
import { LABEL } from "./labels.ts";
import type { TaskFiles } from "./task_files.ts";

/** Creates and starts on one engine at once; more only makes each of them slower. */
const MAX_PARALLEL = 4;

interface EngineInfo {
  readonly Name: string;
  readonly OSType: string;
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly ServerVersion: string;
  readonly Labels: readonly string[] | null;
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>>;
  readonly Swarm?: { readonly LocalNodeState?: string };
}

export interface DockerExecutorOptions {
  readonly engine: Engine;
  readonly logger: Logger;
  readonly nodeId: string;
  readonly hostname: string | undefined;
  readonly files: TaskFiles;
}

/** Runs tasks as containers of the node's Docker Engine. */
export class DockerExecutor implements Executor {
  readonly #options: DockerExecutorOptions;
  readonly #events: ContainerEvents;
  readonly #parts: ContainerParts;
  #info: EngineInfo | undefined;

  constructor(options: DockerExecutorOptions) {
    this.#options = options;
    const { engine, logger, files } = options;
    this.#events = new ContainerEvents(engine, logger);
    this.#parts = {
      engine,
      events: this.#events,
      images: new Images(engine),
      node: () => ({
        id: options.nodeId,
        hostname: options.hostname ?? this.#info?.Name ?? "",
        architecture: this.#info?.Architecture ?? "",
        os: this.#info?.OSType ?? "linux",
      }),
      prepareFiles: (task) => files.prepare(task),
      removeFiles: (taskId) => files.remove(taskId),
      networkMode,
      limited: limiter(MAX_PARALLEL),
    };
  }

  /** Follows the engine's events until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#events.run(signal);
  }

  async describe(signal: AbortSignal): Promise<NodeDescription> {
    const info = await this.#options.engine.json<EngineInfo>("GET", "/info", { signal });
    this.#info = info;
    const labels = (info.Labels ?? []).map((label) => {
      const at = label.indexOf("=");
      return at < 0 ? [label, ""] : [label.slice(0, at), label.slice(at + 1)];
    });
    return {
      Hostname: this.#options.hostname ?? info.Name,
      Platform: { Architecture: info.Architecture, OS: info.OSType },
      Resources: { NanoCPUs: info.NCPU * 1e9, MemoryBytes: info.MemTotal },
      Engine: {
        EngineVersion: info.ServerVersion,
        Labels: Object.fromEntries(labels),
        Plugins: Object.entries(info.Plugins ?? {}).flatMap(([type, names]) =>
          (names ?? []).map((name) => ({ Type: type, Name: name }))
        ).sort((a, b) => a.Type < b.Type || (a.Type === b.Type && a.Name < b.Name) ? -1 : 1),
      },
    };
  }

  controller(task: Task): Controller {
    return new ContainerController(task, this.#parts);
  }

  async taskIds(signal: AbortSignal): Promise<string[]> {
    const containers = await this.#list(`${LABEL.owner}=${this.#options.nodeId}`, signal);
    return containers.map(({ Labels }) => Labels[LABEL.taskId]).filter((id) => id !== undefined);
  }

  async removeUnknown(taskId: string, signal: AbortSignal): Promise<void> {
    for (const { Id } of await this.#list(`${LABEL.taskId}=${taskId}`, signal)) {
      await this.#options.engine.call("DELETE", `/containers/${Id}?force=true&v=true`, { signal });
    }
    await this.#options.files.remove(taskId);
  }

  async #list(
    label: string,
    signal: AbortSignal,
  ): Promise<{ Id: string; Labels: Record<string, string> }[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    return await this.#options.engine.json("GET", `/containers/json?all=true&filters=${filters}`, {
      signal,
    });
  }
}

/** @throws FleetError unavailable when there is no usable engine, with what to do about it */
export async function checkEngine(engine: Engine): Promise<void> {
  const info = await engine.json<EngineInfo>("GET", "/info", {
    signal: AbortSignal.timeout(10_000),
  });
  const state = info.Swarm?.LocalNodeState ?? "inactive";
  if (state !== "inactive") {
    throw new FleetError(
      "unavailable",
      `the Docker Engine on ${engine.socket} is in swarm mode itself (${state}): run docker -H unix://${engine.socket} swarm leave --force first`,
    );
  }
}

const ENGINE_NETWORKS = ["host", "bridge", "none"];

/** Engine networks that a service may name; overlay networks come with addresses of their own. */
function networkMode(task: Task): string | undefined {
  const attachments = task.NetworksAttachments ?? [];
  const named = attachments.map(({ NetworkID }) => NetworkID).find((name) =>
    ["host", "bridge", "none"].includes(name)
  );
  return named;
}

/** At most `limit` at once; a free place goes to whoever waits longest. */
function limiter(limit: number): <T>(run: () => Promise<T>) => Promise<T> {
  let free = limit;
  const waiting: (() => void)[] = [];
  return async (run) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
