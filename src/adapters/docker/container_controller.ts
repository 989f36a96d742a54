import { exitSentence, TemporaryError } from "../../core/task/controller.ts";
import type { Controller, Exit, TaskFacts } from "../../core/task/controller.ts";
import { FleetError } from "../../base/errors.ts";
import { NS_PER_MS } from "../../base/duration.ts";
import { taskName } from "../../model/task.ts";
import type { Task } from "../../model/task.ts";
import { endpointSettings } from "./container_networks.ts";
import type { ContainerEndpoint, ContainerNetworks } from "./container_networks.ts";
import { containerRequest } from "./container_request.ts";
import type { MountedFile } from "./container_request.ts";
import { engineCall, EngineError, engineJson } from "./engine.ts";
import type { EngineApi } from "./engine.ts";
import type { ContainerEvents } from "./events.ts";
import type { Images } from "./images.ts";
import { hasEnded, publishedPorts, unhealthySentence } from "./inspection.ts";
import type { Inspection } from "./inspection.ts";
import { LABEL } from "./labels.ts";
import type { Limited } from "./limiter.ts";
import type { TemplateNode } from "../../model/task_template.ts";

const DEFAULT_GRACE_MS = 10_000;
/** The engine gets this much longer than the grace period before the call is given up and repeated. */
const STOP_MARGIN_MS = 30_000;
const FACTS_TIMEOUT_MS = 10_000;
/** What a program that was killed leaves as its code; told of containers that are gone. */
const KILLED = 137;

export interface ContainerParts {
  readonly engine: EngineApi;
  readonly events: ContainerEvents;
  readonly images: Images;
  readonly node: () => TemplateNode;
  /** Writes the task's secrets and configs to the host's tmpfs. */
  readonly prepareFiles: (task: Task, node: TemplateNode) => Promise<MountedFile[]>;
  readonly removeFiles: (taskId: string) => Promise<void>;
  /** Waits until the task's networks can be used here. @throws Error saying why they cannot */
  readonly networks: (task: Task, signal: AbortSignal) => Promise<ContainerNetworks>;
  /** Bound the engine's parallel work; it gets slower when it has too much at once. */
  readonly creating: Limited;
  readonly starting: Limited;
  readonly stopping: Limited;
}

/**
 * One task as one container. Every step finds out what is there already, so that a restart goes on.
 * Creating and starting are never given up half way: a container that appears after nobody waits for it
 * any more would run unseen.
 */
export class ContainerController implements Controller {
  readonly #task: Task;
  readonly #parts: ContainerParts;
  #id: string | undefined;
  /** Made by this process and never started: need not be looked at before it is. */
  #fresh = false;
  /** The last look, and how old it is in events: without a newer event it is still true. */
  #look: { readonly at: number; readonly found: Inspection } | undefined;

  constructor(task: Task, parts: ContainerParts) {
    this.#task = task;
    this.#parts = parts;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const before = await this.#inspect(signal);
    if (before) return await this.#finishMaking(before, signal);
    const { images, engine, creating } = this.#parts;
    const spec = this.#task.Spec.ContainerSpec;
    await this.#talk(() =>
      images.ensure(spec?.Image ?? "", spec?.PullOptions?.RegistryAuth, signal)
    );
    const networks = await this.#parts.networks(this.#task, signal);
    const node = this.#parts.node();
    const files = await this.#parts.prepareFiles(this.#task, node);
    const body = containerRequest(this.#task, node, files, networks);
    const name = encodeURIComponent(taskName(this.#task));
    await this.#talk(() =>
      creating(async () => {
        signal.throwIfAborted();
        try {
          const path = `/containers/create?name=${name}`;
          this.#id = (await engineJson<{ Id: string }>(engine, "POST", path, { body })).Id;
          this.#fresh = true;
        } catch (error) {
          if (!(error instanceof EngineError && error.status === 409)) throw error;
          // Made before a crash, or by somebody else under our name.
          if (!await this.#inspect(signal)) throw error;
        }
        for (const endpoint of networks.endpoints.slice(1)) await this.#connect(endpoint);
      })
    );
  }

  /** A crash between making a container and putting it on its further networks leaves it without them. */
  async #finishMaking({ State, NetworkSettings }: Inspection, signal: AbortSignal): Promise<void> {
    if (State.Status !== "created") return;
    const { endpoints } = await this.#parts.networks(this.#task, signal);
    const has = NetworkSettings.Networks ?? {};
    await this.#talk(async () => {
      for (const endpoint of endpoints.slice(1)) {
        if (!(endpoint.network in has)) await this.#connect(endpoint);
      }
    });
  }

  async #connect(endpoint: ContainerEndpoint): Promise<void> {
    const path = `/networks/${encodeURIComponent(endpoint.network)}/connect`;
    await engineCall(this.#parts.engine, "POST", path, {
      body: { Container: this.#id, EndpointConfig: endpointSettings(endpoint) },
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const { engine, starting } = this.#parts;
    const before = this.#fresh ? undefined : await this.#mustInspect(signal);
    if (before === undefined || before.State.Status === "created") {
      await this.#talk(() =>
        starting(async () => {
          signal.throwIfAborted();
          this.#fresh = false;
          this.#look = undefined;
          await engineCall(engine, "POST", `/containers/${this.#id}/start`);
        })
      );
    } else if (hasEnded(before)) {
      // It ran while nobody looked: how it ended is told by `wait`.
      return;
    }
    await this.#until(signal, (now) => {
      if (!now) throw new Error("container was removed while it started");
      const health = now.State.Health?.Status;
      if (health === undefined || health === "none" || health === "healthy") return true;
      if (hasEnded(now)) throw new Error(exitSentence(exitOf(now)));
      if (health === "unhealthy") throw new Error(unhealthySentence(now));
      return false;
    }, () => this.#stopQuietly());
  }

  async wait(signal: AbortSignal): Promise<Exit> {
    let last: Inspection | undefined;
    let sick: string | undefined;
    await this.#until(signal, async (now) => {
      last = now;
      if (!now || hasEnded(now)) return true;
      if (now.State.Health?.Status !== "unhealthy") return false;
      sick = unhealthySentence(now);
      await this.#stopQuietly();
      last = await this.#inspect(signal);
      return true;
    });
    if (sick !== undefined) return { code: last?.State.ExitCode ?? KILLED, reason: sick };
    if (!last) return { code: KILLED, reason: "container was removed" };
    return exitOf(last);
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const container = await this.#inspect(signal);
    if (!container || !(container.State.Running || container.State.Restarting)) return;
    const grace = this.#graceMs();
    const path = `/containers/${container.Id}/stop?t=${Math.ceil(grace / 1000)}`;
    await this.#talk(() =>
      this.#parts.stopping(async () => {
        signal.throwIfAborted();
        this.#look = undefined;
        const bounded = AbortSignal.any([signal, AbortSignal.timeout(grace + STOP_MARGIN_MS)]);
        await this.#tolerateGone(engineCall(this.#parts.engine, "POST", path, { signal: bounded }));
      })
    );
  }

  async remove(signal: AbortSignal): Promise<void> {
    const container = await this.#inspect(signal);
    if (container) {
      const path = `/containers/${container.Id}?force=true&v=true`;
      await this.#talk(() =>
        this.#parts.stopping(async () => {
          signal.throwIfAborted();
          this.#look = undefined;
          await this.#tolerateGone(engineCall(this.#parts.engine, "DELETE", path, { signal }));
        })
      );
    }
    await this.#parts.removeFiles(this.#task.ID);
  }

  async facts(): Promise<TaskFacts> {
    const container = await this.#inspect(AbortSignal.timeout(FACTS_TIMEOUT_MS));
    if (!container) return {};
    const ports = publishedPorts(container);
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
    const { engine, events } = this.#parts;
    if (this.#look?.at === events.count) return this.#look.found;
    const at = events.count;
    const key = this.#id ?? encodeURIComponent(taskName(this.#task));
    try {
      const found = await this.#talk(() =>
        engineJson<Inspection>(engine, "GET", `/containers/${key}/json`, { signal })
      );
      if (found.Config.Labels?.[LABEL.taskId] !== this.#task.ID) return undefined;
      this.#id = found.Id;
      this.#look = { at, found };
      return found;
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Stopping or removing what is gone, or is being removed by somebody else, has succeeded. */
  async #tolerateGone(call: Promise<void>): Promise<void> {
    try {
      await call;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.status === 404) return;
      if (error.status === 409 && error.message.includes("is already in progress")) return;
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

function exitOf({ State }: Inspection): Exit {
  if (State.Status === "created") {
    return { code: State.ExitCode || KILLED, reason: State.Error || "container did not start" };
  }
  const reason = State.OOMKilled ? "out of memory" : State.Error || undefined;
  return { code: State.ExitCode, ...(reason ? { reason } : {}) };
}
