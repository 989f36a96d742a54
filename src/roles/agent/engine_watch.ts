import type { Clock } from "../../base/clock.ts";
import { sleep } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";

/** How often the engine is asked whether it is there. */
const PING_EVERY_MS = 5_000;
/** An engine that does not answer this long is away. */
const PING_TIMEOUT_MS = 5_000;
/** An engine may be restarted (an upgrade takes seconds); away longer than this, the node is no use. */
const MAX_ABSENCE_MS = 15_000;

/** Knows whether the engine is there, so that a node without one does not go on taking tasks. */
export class EngineWatch {
  readonly #engine: { ping(signal: AbortSignal): Promise<void> };
  readonly #clock: Clock;

  constructor(engine: { ping(signal: AbortSignal): Promise<void> }, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /** Only ever rejects: with `unavailable` when the engine was away too long, else with the signal's reason. */
  async untilGone(signal: AbortSignal): Promise<never> {
    let seenAt = this.#clock.monotonic();
    for (;;) {
      await sleep(this.#clock, PING_EVERY_MS, signal);
      try {
        await this.#ping(signal);
        seenAt = this.#clock.monotonic();
      } catch (error) {
        signal.throwIfAborted();
        if (this.#clock.monotonic() - seenAt < MAX_ABSENCE_MS) continue;
        throw new FleetError("unavailable", `session ended: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  async #ping(signal: AbortSignal): Promise<void> {
    const limit = new AbortController();
    const timeout = new FleetError("unavailable", "the Docker Engine hangs");
    const cancel = this.#clock.after(PING_TIMEOUT_MS, () => limit.abort(timeout));
    try {
      await this.#engine.ping(AbortSignal.any([signal, limit.signal]));
    } finally {
      cancel();
    }
  }
}
