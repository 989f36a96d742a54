import { messageOf } from "./errors.ts";

/**
 * A set of loops that live and die together. Each member gets the group's signal; the first one that
 * throws aborts the others, and {@link Group.wait} rejects with its error. So no promise floats and no
 * loop dies unseen.
 */
export class Group {
  readonly #controller = new AbortController();
  readonly #members = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(parent?: AbortSignal) {
    if (!parent) return;
    if (parent.aborted) {
      this.#controller.abort(parent.reason);
      return;
    }
    const onAbort = () => this.#controller.abort(parent.reason);
    parent.addEventListener("abort", onAbort, { once: true });
    // A group that ends before its parent, as a session does, leaves nothing behind on it.
    this.signal.addEventListener("abort", () => parent.removeEventListener("abort", onAbort), {
      once: true,
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts a member. `name` goes into the message when it fails. */
  go(name: string, run: (signal: AbortSignal) => Promise<void>): void {
    const member = run(this.signal).catch((error: unknown) => {
      if (this.signal.aborted) return;
      this.#failure ??= {
        error: error instanceof Error ? error : new Error(`${name}: ${messageOf(error)}`),
      };
      this.#controller.abort(error);
    }).finally(() => this.#members.delete(member));
    this.#members.add(member);
  }

  /** Aborts every member and waits until all have ended. */
  async stop(reason: unknown = new DOMException("stopped", "AbortError")): Promise<void> {
    this.#controller.abort(reason);
    await this.#drain();
  }

  /** Resolves when all members ended; rejects with the first failure. */
  async wait(): Promise<void> {
    await this.#drain();
    if (this.#failure) throw this.#failure.error;
  }

  async #drain(): Promise<void> {
    while (this.#members.size > 0) await Promise.all(this.#members);
  }
}
