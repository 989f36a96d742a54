import type { Random } from "../../src/base/random.ts";
import { decodeMessage, encodeMessage } from "../../src/core/raft/message_codec.ts";
import type { Message, RaftId } from "../../src/core/raft/types.ts";
import { between, chance } from "./draw.ts";
import type { Options } from "./options.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Milliseconds until a sender notices that a message did not arrive, where it does at all. */
const NOTICE_MS = 50;

/** Who takes messages, and who is told of the fate of what it sent. */
export interface Endpoint {
  receive(m: Message): void;
  unreachable(id: RaftId): void;
  snapshotSent(id: RaftId, ok: boolean): void;
}

/** Delays, loses, doubles and reorders messages, and has links that are cut or clogged. */
export class SimNetwork {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #options: Options;
  readonly #endpoint: (id: RaftId) => Endpoint | undefined;
  /** How many faults cut a link. */
  readonly #cut = new Map<string, number>();
  /** Extra milliseconds per link. */
  readonly #clogged = new Map<string, number>();
  readonly #lastArrival = new Map<string, number>();
  /** Counts the lives of an id: what an earlier one sent or was sent never arrives. */
  readonly #lives = new Map<RaftId, number>();
  #faulty = true;
  delivered = 0;
  lost = 0;
  /** Sees every message when it arrives. */
  onDelivery: (m: Message) => void = () => {};

  constructor(
    time: VirtualTime,
    random: Random,
    options: Options,
    endpoint: (id: RaftId) => Endpoint | undefined,
  ) {
    this.#time = time;
    this.#random = random;
    this.#options = options;
    this.#endpoint = endpoint;
  }

  send(m: Message): void {
    const { loss, duplication } = this.#options;
    if (this.#faulty && chance(this.#random, loss)) return this.#lose(m);
    const copies = this.#faulty && chance(this.#random, duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const life = this.#life(m);
      this.#time.after(this.#delay(m), () => {
        if (life === this.#life(m)) this.#arrive(m);
      });
    }
  }

  #life(m: Message): number {
    return (this.#lives.get(m.from) ?? 0) + (this.#lives.get(m.to) ?? 0);
  }

  /** The node `id` is gone; another one may get its id. Its connections are closed. */
  bury(id: RaftId): void {
    this.#lives.set(id, (this.#lives.get(id) ?? 0) + 1);
  }

  #delay(m: Message): number {
    const { minDelayMs, maxDelayMs, ordered } = this.#options;
    const link = `${m.from}>${m.to}`;
    const max = this.#faulty ? maxDelayMs : Math.min(maxDelayMs, minDelayMs + 10);
    let delay = between(this.#random, minDelayMs, max) + (this.#clogged.get(link) ?? 0);
    if (ordered) {
      const arrival = Math.max(this.#time.now() + delay, this.#lastArrival.get(link) ?? 0);
      this.#lastArrival.set(link, arrival);
      delay = arrival - this.#time.now();
    }
    return delay;
  }

  #arrive(m: Message): void {
    const target = this.#endpoint(m.to);
    if (target === undefined || (this.#cut.get(`${m.from}>${m.to}`) ?? 0) > 0) return this.#lose(m);
    this.delivered++;
    this.onDelivery(m);
    target.receive(this.#options.wire ? decodeMessage(encodeMessage(m)) : m);
    if (m.type === "snapshot") this.#report(m, true);
  }

  #lose(m: Message): void {
    this.lost++;
    if (m.type === "snapshot") this.#report(m, false);
    else if (chance(this.#random, 0.3)) {
      this.#time.after(NOTICE_MS, () => this.#endpoint(m.from)?.unreachable(m.to));
    }
  }

  #report(m: Message, ok: boolean): void {
    this.#time.after(NOTICE_MS, () => this.#endpoint(m.from)?.snapshotSent(m.to, ok));
  }

  /** Cuts links; the returned function repairs them, unless another fault has cut them, too. */
  cut(links: readonly (readonly [from: RaftId, to: RaftId])[]): () => void {
    return this.#change(this.#cut, links, 1);
  }

  /** Delays everything on links by `extraMs` more; the returned function ends that. */
  clog(links: readonly (readonly [from: RaftId, to: RaftId])[], extraMs: number): () => void {
    return this.#change(this.#clogged, links, extraMs);
  }

  #change(
    what: Map<string, number>,
    links: readonly (readonly [RaftId, RaftId])[],
    amount: number,
  ): () => void {
    const add = (sign: number) => {
      for (const [from, to] of links) {
        const key = `${from}>${to}`;
        what.set(key, (what.get(key) ?? 0) + sign * amount);
      }
    };
    add(1);
    return () => add(-1);
  }

  /** From now on nothing is lost, doubled or delayed for long. */
  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
    this.#faulty = false;
  }
}
