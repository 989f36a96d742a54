import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { DesiredNetwork } from "../../core/network/desired.ts";

/** The machine's part; `src/adapters/network` implements it. */
export interface DirectPathsHost {
  /** Puts the short cut in force for the tasks of these networks, as far as it is not. */
  apply(networks: readonly DesiredNetwork[], signal: AbortSignal): Promise<void>;
  /** Leaves these containers to the bridge until the next look, as far as the short cut knows them. */
  unplug(containers: ReadonlySet<string>, signal: AbortSignal): Promise<void>;
  /**
   * Tells of each container that lost a cable, until the signal; undefined when some may have been
   * missed.
   */
  watch(unplugged: (container: string | undefined) => void, signal: AbortSignal): Promise<void>;
}

export interface DirectPathsOptions {
  readonly host: DirectPathsHost;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks, since each asks the engine; what came meanwhile is done by the next. */
const REST_MS = 1_000;
/** Containers that lost a cable during one step; with more of them all are looked at. */
const MAX_UNPLUGGED = 1_000;

/**
 * Keeps the short cut between containers of different nodes as the networks are (`nft_direct.ts`). All
 * goes on without it, only slower, so it waits for nobody and nobody for it. Only a cable that is gone is
 * in a hurry: what the short cut hands to it is lost, and the container may have another one already.
 */
export class DirectPaths {
  readonly #options: DirectPathsOptions;
  #wanted: readonly DesiredNetwork[] | undefined;
  #unplugged = new Set<string>();
  /** Undefined before anybody said what there shall be: what an earlier agent made stays until then. */
  #last: readonly DesiredNetwork[] | undefined;
  #asked: string | undefined;
  #works: Promise<void> | undefined;
  #said: string | undefined;
  #nextLook = -Infinity;
  #wake: () => void = () => {};

  constructor(options: DirectPathsOptions) {
    this.#options = options;
  }

  /** Watches cables until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#options.host.watch((container) => {
      if (container === undefined || this.#unplugged.size >= MAX_UNPLUGGED) {
        if (this.#last) this.update(this.#last, true, signal);
        return;
      }
      this.#unplugged.add(container);
      this.#go(signal);
      this.#wake();
    }, signal);
  }

  /** With `look` it is compared with what the kernel has although nothing has changed. */
  update(networks: readonly DesiredNetwork[], look: boolean, signal: AbortSignal): void {
    const asked = keyOf(networks);
    this.#last = networks;
    if (asked === this.#asked && !look) return;
    this.#asked = asked;
    this.#wanted = networks;
    this.#go(signal);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#works) await this.#works;
  }

  #go(signal: AbortSignal): void {
    this.#works ??= this.#work(signal).finally(() => {
      this.#works = undefined;
      // What came after the last step had looked whether there is more.
      if (this.#isPending() && !signal.aborted) this.#go(signal);
    });
  }

  #isPending(): boolean {
    return this.#unplugged.size > 0 || this.#wanted !== undefined;
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (this.#isPending() && !signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (signal.aborted) return;
        // The next audit tries again.
        this.#asked = undefined;
        const reason = messageOf(error);
        if (reason === this.#said) continue;
        this.#said = reason;
        this.#options.logger.log(
          "debug",
          "packets between containers of different nodes go by the bridge",
          { reason },
        );
      }
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { host, clock } = this.#options;
    if (this.#unplugged.size > 0) {
      const unplugged = this.#unplugged;
      this.#unplugged = new Set();
      return await host.unplug(unplugged, signal);
    }
    const networks = this.#wanted ?? [];
    const restMs = this.#nextLook - clock.monotonic();
    // A node that leaves does not wait.
    if (restMs > 0 && networks.length > 0) return await this.#rest(restMs, signal);
    this.#wanted = undefined;
    try {
      await host.apply(networks, signal);
      this.#said = undefined;
    } finally {
      this.#nextLook = clock.monotonic() + REST_MS;
    }
  }

  #rest(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        signal.removeEventListener("abort", done);
        this.#wake = () => {};
        resolve();
      };
      const cancel = this.#options.clock.after(ms, done);
      signal.addEventListener("abort", done, { once: true });
      this.#wake = done;
    });
  }
}

function keyOf(networks: readonly DesiredNetwork[]): string {
  return JSON.stringify(networks.map(({ id, tasks, remotes }) => [
    id,
    tasks,
    tasks.length > 0 ? remotes.map(({ address }) => address) : [],
  ]));
}
