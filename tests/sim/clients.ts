import type { Random } from "../../src/base/random.ts";
import { between, chance, pick } from "./draw.ts";
import type { HistoryEvent } from "./linearizability.ts";
import type { Operation } from "./machine.ts";
import type { Outcome, SimMember } from "./member.ts";
import type { Options } from "./options.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Operations on one key: enough to be interesting, few enough to check every order. */
const OPERATIONS_PER_KEY = 24;
/** Keys in use at a time. */
const OPEN_KEYS = 2;
/** Virtual milliseconds after which a client gives up. */
const TIMEOUT_MS = 2_000;

interface Key {
  readonly name: string;
  left: number;
  /** Values that were written, for compare-and-set to have a chance. */
  readonly values: string[];
}

/** Clients that write, compare-and-set, append and read, and remember what they saw. */
export class Workload {
  readonly history: HistoryEvent[] = [];
  readonly acknowledged: number[] = [];
  readonly failed: number[] = [];
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #options: Options;
  readonly #members: () => readonly SimMember[];
  #keys: Key[] = [];
  #nextKey = 0;
  #nextId = 1;
  /** The one order of all calls and returns. */
  #sequence = 0;
  #stopped = false;
  /** The leader as clients last saw it. */
  #favourite: SimMember | undefined;

  constructor(
    time: VirtualTime,
    random: Random,
    options: Options,
    members: () => readonly SimMember[],
  ) {
    this.#time = time;
    this.#random = random;
    this.#options = options;
    this.#members = members;
  }

  start(): void {
    for (let client = 0; client < this.#options.clients; client++) this.#think(client);
  }

  /** Operations under way end or time out; none begin. */
  stop(): void {
    this.#stopped = true;
  }

  #think(client: number): void {
    this.#time.after(between(this.#random, 1, 2 * this.#options.thinkMs), () => {
      if (!this.#stopped) this.#operate(client);
    });
  }

  #operate(client: number): void {
    const members = this.#members().filter((member) => member.responsive);
    if (members.length === 0) return this.#think(client);
    const { op, key } = this.#draw();
    const read = op.kind === "read";
    const target = this.#favourite?.responsive && chance(this.#random, read ? 0.5 : 0.9)
      ? this.#favourite
      : pick(this.#random, members);
    const id = this.#nextId++;
    const call = this.#sequence++;
    let over = false;
    const end = (outcome: Outcome, timedOut: boolean) => {
      if (over) {
        // Too late for the client, but a promise that it failed still holds.
        if (!read && outcome.kind === "failed") this.#fail(id, call);
        return;
      }
      over = true;
      if (outcome.kind === "ok") this.#favourite = target;
      else if (this.#favourite === target) this.#favourite = undefined;
      this.#record(client, id, op, call, outcome);
      if (read || outcome.kind === "failed") key.left++;
      if (!timedOut && outcome.kind === "ok" && (op.kind === "write" || op.kind === "cas")) {
        key.values.push(op.value);
      }
      this.#think(client);
    };
    this.#time.after(TIMEOUT_MS, () => over || end({ kind: "unknown" }, true));
    const done = (outcome: Outcome) => end(outcome, false);
    if (read) target.read(`c${id}`, op.key, done);
    else target.propose(id, op, done);
  }

  readonly #open = new Map<number, HistoryEvent>();

  #record(client: number, id: number, op: Operation, call: number, outcome: Outcome): void {
    if (outcome.kind === "failed") {
      if (op.kind !== "read") this.failed.push(id);
      return;
    }
    if (outcome.kind === "ok") {
      if (op.kind !== "read") this.acknowledged.push(id);
      const { output } = outcome;
      this.history.push({ client, op, call, return: this.#sequence++, output });
    } else if (op.kind !== "read") {
      const event = { client, op, call, return: Infinity, output: undefined };
      this.history.push(event);
      this.#open.set(call, event);
    }
  }

  /** An operation whose outcome was unknown turned out never to have happened. */
  #fail(id: number, call: number): void {
    const event = this.#open.get(call);
    if (event === undefined) return;
    this.#open.delete(call);
    this.history.splice(this.history.indexOf(event), 1);
    this.failed.push(id);
  }

  #draw(): { op: Operation; key: Key } {
    this.#keys = this.#keys.filter((key) => key.left > 0);
    while (this.#keys.length < OPEN_KEYS) {
      this.#keys.push({ name: `k${this.#nextKey++}`, left: OPERATIONS_PER_KEY, values: [""] });
    }
    const key = pick(this.#random, this.#keys);
    key.left--;
    const value = `${this.#nextId}.`;
    const base = { key: key.name };
    const roll = this.#random.float();
    const op: Operation = roll < 0.4
      ? { kind: "read", ...base }
      : roll < 0.6
      ? { kind: "write", ...base, value }
      : roll < 0.8
      ? { kind: "append", ...base, value }
      : { kind: "cas", ...base, from: pick(this.#random, key.values.slice(-2)), value };
    return { op, key };
  }
}
