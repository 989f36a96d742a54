import type { Logger } from "../../base/log.ts";
import { messageOf } from "../../base/errors.ts";
import { jsonLines } from "./engine.ts";
import type { Engine } from "./engine.ts";

/** The part of an engine event that matters here. */
interface EngineEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string };
}

const RECONNECT_MS = 500;
/** Even without events every watcher looks again after this long: events can be lost with an engine. */
const SAFETY_LOOK_MS = 30_000;

/** One event stream for the whole node; watchers of a container are woken when something happens to it. */
export class ContainerEvents {
  readonly #engine: Engine;
  readonly #logger: Logger;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(engine: Engine, logger: Logger) {
    this.#engine = engine;
    this.#logger = logger;
  }

  /** Calls `wake` at every event of the container, and whenever events may have been missed. */
  watch(containerId: string, wake: () => void): () => void {
    const set = this.#watchers.get(containerId) ?? new Set();
    set.add(wake);
    this.#watchers.set(containerId, set);
    return () => {
      set.delete(wake);
      if (set.size === 0) this.#watchers.delete(containerId);
    };
  }

  async run(signal: AbortSignal): Promise<void> {
    const safety = setInterval(() => this.#wakeAll(), SAFETY_LOOK_MS);
    try {
      while (!signal.aborted) {
        try {
          await this.#follow(signal);
        } catch (error) {
          if (signal.aborted) break;
          this.#logger.log("warn", "the engine's events stopped; connecting again", {
            error: messageOf(error),
          });
        }
        this.#wakeAll();
        await pause(RECONNECT_MS, signal);
      }
    } finally {
      clearInterval(safety);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const filters = encodeURIComponent(JSON.stringify({ type: ["container"] }));
    const response = await this.#engine.request("GET", `/events?filters=${filters}`, { signal });
    // What happened between the last stream and this one has to be looked for.
    this.#wakeAll();
    for await (const value of jsonLines(response)) {
      const id = (value as EngineEvent).Actor?.ID;
      if (id) { for (const wake of [...this.#watchers.get(id) ?? []]) wake(); }
    }
  }

  #wakeAll(): void {
    for (const set of [...this.#watchers.values()]) for (const wake of [...set]) wake();
  }
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
