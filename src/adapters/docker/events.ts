import type { Logger } from "../../base/log.ts";
import { messageOf } from "../../base/errors.ts";
import type { EngineApi } from "./engine.ts";
import { followEvents } from "./event_stream.ts";
import type { EngineEvent } from "./event_stream.ts";

/** What can change the fate of a task; `health_status` covers all its values. */
const EVENTS = ["die", "destroy", "health_status", "oom"];

/** Even without events every watcher looks again after this long: events can be lost with an engine. */
const SAFETY_LOOK_MS = 30_000;

/** Stands for every container. */
const ALL = "";

/** One event stream for the whole node; watchers of a container are woken when something happens to it. */
export class ContainerEvents {
  readonly #engine: EngineApi;
  readonly #logger: Logger;
  readonly #filters: Readonly<Record<string, readonly string[]>>;
  readonly #watchers = new Map<string, Set<(containerId?: string) => void>>();
  #count = 0;

  /** `label` (`key=value`) marks the containers that matter, all without one; `events` are their names. */
  constructor(
    engine: EngineApi,
    logger: Logger,
    { label, events = EVENTS }: { readonly label?: string; readonly events?: readonly string[] },
  ) {
    this.#engine = engine;
    this.#logger = logger;
    this.#filters = {
      type: ["container"],
      event: events,
      ...(label === undefined ? {} : { label: [label] }),
    };
  }

  /** Grows with everything that may have changed a container: a look as old as this number is still true. */
  get count(): number {
    return this.#count;
  }

  /** Calls `wake` at every event of the container, and whenever events may have been missed. */
  watch(containerId: string, wake: (containerId?: string) => void): () => void {
    const set = this.#watchers.get(containerId) ?? new Set();
    set.add(wake);
    this.#watchers.set(containerId, set);
    return () => {
      set.delete(wake);
      if (set.size === 0 && this.#watchers.get(containerId) === set) {
        this.#watchers.delete(containerId);
      }
    };
  }

  /** The same for every container, which is named unless events may have been missed. */
  watchAll(wake: (containerId?: string) => void): () => void {
    return this.watch(ALL, wake);
  }

  async run(signal: AbortSignal): Promise<void> {
    const safety = setInterval(() => this.#wakeAll(), SAFETY_LOOK_MS);
    let away = false;
    const listener = {
      onOpen: () => {
        if (away) this.#logger.log("info", "the engine answers again");
        away = false;
      },
      onError: (error: unknown) => {
        // Once per absence: an engine may be away for hours.
        if (!away) {
          this.#logger.log("warn", "the engine's events stopped; connecting again", {
            error: messageOf(error),
          });
        }
        away = true;
      },
      onGap: () => this.#wakeAll(),
      onEvent: ({ Actor }: EngineEvent) => {
        if (!Actor?.ID) return;
        this.#count++;
        for (const key of [Actor.ID, ALL]) {
          for (const wake of [...this.#watchers.get(key) ?? []]) wake(Actor.ID);
        }
      },
    };
    try {
      await followEvents(this.#engine, this.#filters, listener, signal);
    } finally {
      clearInterval(safety);
    }
  }

  #wakeAll(): void {
    this.#count++;
    for (const set of [...this.#watchers.values()]) for (const wake of [...set]) wake();
  }
}
