import type { Clock } from "../../../src/base/clock.ts";
import { FleetError } from "../../../src/base/errors.ts";
import type { Random } from "../../../src/base/random.ts";
import type { Peer, RpcStream } from "../../../src/roles/rpc.ts";

/** A connection over which nothing arrives is given up by both ends after this long. */
const SILENCE_MS = 10_000;
/** Messages take up to this long, in order. */
const MAX_DELAY_MS = 20;

/** Whether two machines can reach one another now. */
export type Reachable = () => boolean;

/** One end of a stream: what the other end sends arrives here. */
class End implements RpcStream {
  readonly meta = undefined;
  readonly peer: Peer;
  other: End | undefined;
  readonly #queue: unknown[] = [];
  readonly #abort = new AbortController();
  #wake: () => void = () => {};
  #closed = false;

  constructor(peer: Peer, private readonly carry: (deliver: () => void) => void) {
    this.peer = peer;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  send(message: unknown): Promise<void> {
    if (this.#closed) return Promise.reject(new FleetError("unavailable", "the stream is closed"));
    // As on the wire: nobody shares objects with the other end.
    const text = JSON.stringify(message);
    this.carry(() => this.other?.receive(JSON.parse(text)));
    return Promise.resolve();
  }

  receive(message: unknown): void {
    if (this.#closed) return;
    this.#queue.push(message);
    this.#wake();
  }

  flush(): boolean {
    return true;
  }

  end(): Promise<void> {
    this.cancel();
    return Promise.resolve();
  }

  cancel(): void {
    if (this.#closed) return;
    this.closeHere();
    this.carry(() => this.other?.closeHere());
  }

  closeHere(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abort.abort(new FleetError("unavailable", "the stream is closed"));
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (;;) {
      while (this.#queue.length > 0) yield this.#queue.shift();
      if (this.#closed) return;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/**
 * A stream between an agent and a manager. Messages keep their order; while the machines cannot reach one
 * another they wait, and both ends give up after some seconds of that.
 */
export function link(
  clock: Clock,
  random: Random,
  nodeId: string,
  reachable: Reachable,
): { agent: RpcStream & { closeHere(): void }; manager: RpcStream & { closeHere(): void } } {
  let lastAt = 0;
  const held: (() => void)[] = [];
  let watching = false;
  const watch = () => {
    if (watching) return;
    watching = true;
    const since = clock.monotonic();
    const look = () => {
      if (reachable()) {
        watching = false;
        for (const deliver of held.splice(0)) carry(deliver);
      } else if (clock.monotonic() - since >= SILENCE_MS) {
        agent.closeHere();
        manager.closeHere();
      } else clock.after(500, look);
    };
    clock.after(500, look);
  };
  const carry = (deliver: () => void) => {
    lastAt = Math.max(lastAt, clock.monotonic() + random.float() * MAX_DELAY_MS);
    clock.after(Math.max(0, lastAt - clock.monotonic()), () => {
      if (reachable() && held.length === 0) return deliver();
      held.push(deliver);
      watch();
    });
  };
  const clusterId = "cluster";
  const agent: End = new End({ role: "manager", nodeId: "leader", clusterId }, carry);
  const manager: End = new End({ role: "worker", nodeId, clusterId }, carry);
  agent.other = manager;
  manager.other = agent;
  return { agent, manager };
}
