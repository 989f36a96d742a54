import type { Controller, Exit, TaskFacts } from "../../core/task/controller.ts";
import { TemporaryError } from "../../core/task/controller.ts";
import { FleetError } from "../../base/errors.ts";
import { NS_PER_MS } from "../../base/duration.ts";
import { taskName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import { containerRequest } from "./container_request.ts";
import type { MountedFile } from "./container_request.ts";
import { EngineError } from "./engine.ts";
import type { Engine } from "./engine.ts";
import type { ContainerEvents } from "./events.ts";
import type { Images } from "./images.ts";
import { LABEL } from "./labels.ts";
import type { TemplateNode } from "./templates.ts";

const DEFAULT_GRACE_MS = 10_000;
/** The engine gets this much longer than the grace period before the call is given up. */
const STOP_MARGIN_MS = 30_000;

export interface ContainerParts {
  readonly engine: Engine;
  readonly events: ContainerEvents;
  readonly images: Images;
  readonly node: () => TemplateNode;
  /** Writes the task's secrets and configs to the host's tmpfs. */
  readonly prepareFiles: (task: Task) => Promise<MountedFile[]>;
  readonly removeFiles: (taskId: string) => Promise<void>;
  /** The engine's network mode for the task's networks. @throws FleetError */
  readonly networkMode: (task: Task) => string | undefined;
  /** Bounds the engine's parallel work; it slows down when it has too much at once. */
  readonly limited: <T>(run: () => Promise<T>) => Promise<T>;
}

interface Inspection {
  readonly Id: string;
  readonly Config: {
    readonly Labels?: Readonly<Record<string, string>>;
    readonly Healthcheck?: { readonly Test?: readonly string[] };
  };
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly OOMKilled: boolean;
    readonly Error: string;
    readonly StartedAt: string;
    readonly Health?: {
      readonly Status: string;
      readonly Log?: readonly { readonly Output: string }[] | null;
    };
  };
  readonly NetworkSettings: {
    readonly Ports?:
      | Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>
      | null;
  };
}

/** One task as one container. Every step finds out what is there already, so that a restart goes on. */
export class ContainerController implements Controller {
  readonly #task: Task;
  readonly #parts: ContainerParts;
  #id: string | undefined;

  constructor(task: Task, parts: ContainerParts) {
    this.#task = task;
    this.#parts = parts;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if (await this.#inspect(signal)) return;
    const { engine, images, limited } = this.#parts;
    const spec = this.#task.Spec.ContainerSpec;
    await this.#talk(() =>
      images.ensure(spec?.Image ?? "", spec?.PullOptions?.RegistryAuth, signal)
    );
    const files = await this.#parts.prepareFiles(this.#task);
    const body = containerRequest(
      this.#task,
      this.#parts.node(),
      files,
      this.#parts.networkMode(this.#task),
    );
    const name = encodeURIComponent(taskName(this.#task));
    await this.#talk(() =>
      limited(async () => {
        try {
          const { Id } = await engine.json<{ Id: string }>(
            "POST",
            `/containers/create?name=${name}`,
            { body, signal },
          );
          this.#id = Id;
        } catch (error) {
          if (!(error instanceof EngineError && error.status === 409)) throw error;
          // Made before a crash, or by somebody else under our name.
          if (!await this.#inspect(signal)) throw error;
        }
      })
    );
  }

  async start(signal: AbortSignal): Promise<void> {
    const { engine, limited } = this.#parts;
    const before = await this.#mustInspect(signal);
    if (!before.State.Running) {
      if (before.State.Status === "exited" || before.State.Status === "dead") return;
      await this.#talk(() =>
        limited(() => engine.call("POST", `/containers/${before.Id}/start`, { signal }))
      );
    }
    if (!hasHealthCheck(before)) return;
    await this.#until(signal, (now) => {
      if (!now) throw new Error("container was removed while it started");
      if (!now.State.Running) return true;
      if (now.State.Health?.Status === "unhealthy") throw new Error(unhealthy(now));
      return now.State.Health?.Status === "healthy";
    }, () => this.#stopQuietly());
  }

  async wait(signal: AbortSignal): Promise<Exit> {
    let last: Inspection | undefined;
    let sick: string | undefined;
    await this.#until(signal, async (now) => {
      if (!now) return true;
      last = now;
      if (now.State.Running && now.State.Health?.Status === "unhealthy") {
        sick = unhealthy(now);
        await this.#stopQuietly();
        return true;
      }
      return now.State.Status === "exited" || now.State.Status === "dead";
    });
    if (sick !== undefined) return { code: last?.State.ExitCode || 1, reason: sick };
    if (!last || last.State.Running) return { code: 137, reason: "container was removed" };
    const reason = last.State.OOMKilled ? "out of memory" : last.State.Error || undefined;
    return { code: last.State.ExitCode, ...(reason ? { reason } : {}) };
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const container = await this.#inspect(signal);
    if (!container?.State.Running) return;
    const grace = this.#graceMs();
    await this.#talk(() =>
      this.#parts.engine.call(
        "POST",
        `/containers/${container.Id}/stop?t=${Math.ceil(grace / 1000)}`,
        {
          signal: AbortSignal.any([signal, AbortSignal.timeout(grace + STOP_MARGIN_MS)]),
        },
      )
    );
  }

  async remove(signal: AbortSignal): Promise<void> {
    const container = await this.#inspect(signal);
    if (container) {
      await this.#talk(() =>
        this.#parts.limited(() =>
          this.#parts.engine.call("DELETE", `/containers/${container.Id}?force=true&v=true`, {
            signal,
          })
        )
      );
    }
    await this.#parts.removeFiles(this.#task.ID);
  }

  async facts(): Promise<TaskFacts> {
    const container = await this.#inspect(AbortSignal.timeout(10_000));
    if (!container) return {};
    const ports = Object.entries(container.NetworkSettings.Ports ?? {}).flatMap(
      ([key, bindings]) => {
        const [target, protocol] = key.split("/");
        const published = bindings?.[0]?.HostPort;
        return published
          ? [{
            Protocol: protocol ?? "tcp",
            TargetPort: Number(target),
            PublishedPort: Number(published),
            PublishMode: "host",
          }]
          : [];
      },
    );
    return {
      container: {
        ContainerID: container.Id,
        PID: container.State.Pid,
        ExitCode: container.State.ExitCode,
      },
      ...(ports.length > 0 ? { ports } : {}),
    };
  }

  #graceMs(): number {
    const grace = this.#task.Spec.ContainerSpec?.StopGracePeriod;
    return grace === undefined ? DEFAULT_GRACE_MS : grace / NS_PER_MS;
  }

  async #stopQuietly(): Promise<void> {
    await this.shutdown(AbortSignal.timeout(this.#graceMs() + STOP_MARGIN_MS)).catch(() => {});
  }

  /** Looks at the container now and whenever the engine says something about it, until `done`. */
  async #until(
    signal: AbortSignal,
    done: (now: Inspection | undefined) => boolean | Promise<boolean>,
    onFailure?: () => Promise<void>,
  ): Promise<void> {
    let wake: () => void = () => {};
    let rung = true;
    // Events name the container by its id, which an adopted task does not know yet.
    if (!this.#id) await this.#inspect(signal);
    const unwatch = this.#parts.events.watch(this.#id ?? "", () => {
      rung = true;
      wake();
    });
    const abort = () => wake();
    signal.addEventListener("abort", abort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        if (!rung) await new Promise<void>((resolve) => wake = resolve);
        signal.throwIfAborted();
        rung = false;
        if (await done(await this.#inspect(signal))) return;
      }
    } catch (error) {
      if (!signal.aborted && !(error instanceof TemporaryError)) await onFailure?.();
      throw error;
    } finally {
      unwatch();
      signal.removeEventListener("abort", abort);
    }
  }

  async #mustInspect(signal: AbortSignal): Promise<Inspection> {
    const container = await this.#inspect(signal);
    if (!container) throw new Error("container was removed before it started");
    return container;
  }

  /** The task's container, by id once known, else by name; undefined when there is none of ours. */
  async #inspect(signal: AbortSignal): Promise<Inspection | undefined> {
    const key = this.#id ?? encodeURIComponent(taskName(this.#task));
    try {
      const found = await this.#talk(() =>
        this.#parts.engine.json<Inspection>("GET", `/containers/${key}/json`, { signal })
      );
      if (found.Config.Labels?.[LABEL.taskId] !== this.#task.ID) return undefined;
      this.#id = found.Id;
      return found;
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** An engine that is not there right now is a reason to try again, not to fail the task. */
  async #talk<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof FleetError && error.kind === "unavailable") {
        throw new TemporaryError(error.message);
      }
      throw error;
    }
  }
}

function hasHealthCheck(container: Inspection): boolean {
  const test = container.Config.Healthcheck?.Test;
  return test !== undefined && test.length > 0 && test[0] !== "NONE";
}

function unhealthy(container: Inspection): string {
  const output = container.State.Health?.Log?.at(-1)?.Output.trim();
  return `unhealthy container${output ? `: ${output.slice(0, 200)}` : ""}`;
}
