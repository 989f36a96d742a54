import { sleep } from "../../base/clock.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";

/** The machine's part; `src/adapters/network` implements it. */
export interface DirectPathsHost {
  /** Puts the short cut in force for the tasks of these networks, as far as it is not. */
  apply(networks: readonly DesiredNetwork[], signal: AbortSignal): Promise<void>;
}

export interface DirectPathsOptions {
  readonly host: DirectPathsHost;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks, since each asks the engine; what came meanwhile is done by the next. */
const REST_MS = 1_000;

/**
 * Keeps the short cut between containers of different nodes as the networks are (`nft_direct.ts`). All
 * goes on without it, only slower, so it waits for nobody and nobody for it.
 */
export class DirectPaths {
  readonly #options: DirectPathsOptions;
  #wanted: readonly DesiredNetwork[] | undefined;
  #asked: string | undefined;
  #works: Promise<void> | undefined;
  #said: string | undefined;
  #nextLook = -Infinity;

  constructor(options: DirectPathsOptions) {
    this.#options = options;
  }

  /** With `look` it is compared with what the kernel has although nothing has changed. */
  update(networks: readonly DesiredNetwork[], look: boolean, signal: AbortSignal): void {
    const asked = keyOf(networks);
    if (asked === this.#asked && !look) return;
    this.#asked = asked;
    this.#wanted = networks;
    this.#works ??= this.#work(signal).finally(() => this.#works = undefined);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#works;
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { host, clock, logger } = this.#options;
    while (this.#wanted !== undefined && !signal.aborted) {
      try {
        await sleep(clock, Math.max(0, this.#nextLook - clock.monotonic()), signal);
        const networks = this.#wanted;
        this.#wanted = undefined;
        await host.apply(networks, signal);
        this.#said = undefined;
      } catch (error) {
        if (signal.aborted) return;
        // The next audit tries again.
        this.#asked = undefined;
        const reason = messageOf(error);
        if (reason === this.#said) continue;
        this.#said = reason;
        logger.log("debug", "packets between containers of different nodes go by the bridge", {
          reason,
        });
      } finally {
        this.#nextLook = clock.monotonic() + REST_MS;
      }
    }
  }
}

function keyOf(networks: readonly DesiredNetwork[]): string {
  return JSON.stringify(networks.map(({ id, tasks, remotes }) => [
    id,
    tasks,
    tasks.length > 0 ? remotes.map(({ address }) => address) : [],
  ]));
}
