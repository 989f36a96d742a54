import type { Clock } from "../../base/clock.ts";
import type { Message, RaftId } from "../../core/raft/types.ts";

/** Followers may hear so much later what is committed. Reads do not wait for it: heartbeats say it, too. */
const DELAY_MS = 2;

/**
 * Keeps appends that only say what is committed for a moment, since the next append says it as well: under
 * load they would be half of all messages, and they would leave before the client is answered.
 */
export class HeldCommits {
  readonly #send: (messages: readonly Message[]) => void;
  readonly #clock: Clock;
  readonly #held = new Map<RaftId, Message>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, send: (messages: readonly Message[]) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Sends `messages`, those that can wait a little later or, when an append overtakes them, never. */
  send(messages: readonly Message[]): void {
    const now: Message[] = [];
    for (const message of messages) {
      if (message.type === "append") {
        if (message.entries.length === 0) {
          this.#held.set(message.to, message);
          continue;
        }
        this.#held.delete(message.to);
      }
      now.push(message);
    }
    if (now.length > 0) this.#send(now);
    if (this.#held.size > 0) this.#cancel ??= this.#clock.after(DELAY_MS, () => this.#flush());
  }

  #flush(): void {
    this.#cancel = undefined;
    const messages = [...this.#held.values()];
    this.#held.clear();
    if (messages.length > 0) this.#send(messages);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#held.clear();
  }
}
