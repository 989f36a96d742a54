import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import type { RpcCaller, RpcDialer } from "../rpc.ts";

/** Until a leader is known, a call waits this long for one: an election usually ends sooner. */
const LEADER_WAIT_MS = 3_000;
const LEADER_POLL_MS = 50;

const LEADER_GONE =
  "the leader was replaced or lost while the change was on its way; look before you try again";

export interface LeaderCallsOptions {
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  /** `here` while this manager leads itself. */
  readonly leader: () => { readonly nodeId: string; readonly addr: string } | "here" | undefined;
  /** The sentence for "no leader", naming who cannot be reached. */
  readonly noLeader: () => string;
}

interface Connection {
  readonly nodeId: string;
  readonly caller: RpcCaller;
  /** Closed because that node leads no more. */
  lost: boolean;
}

/** One kept connection to whoever leads, for calls that a follower passes on. */
export class LeaderCalls {
  readonly #options: LeaderCallsOptions;
  #connection: Connection | undefined;
  #dialling: { readonly nodeId: string; readonly connected: Promise<Connection> } | undefined;
  #cancelWait: () => void = () => {};

  constructor(options: LeaderCallsOptions) {
    this.#options = options;
  }

  /**
   * Calls the leader, or `here` when that is this manager by then.
   * @throws FleetError of the leader's answer, or unavailable when there is no leader to be reached
   */
  async call<T>(
    route: string,
    body: unknown,
    here: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | unknown> {
    const leader = await this.#awaitLeader(signal);
    if (leader === "here") return await here();
    const connection = await this.#connect(leader, signal);
    try {
      return await connection.caller.call(route, body, signal ? { signal } : {});
    } catch (error) {
      if (connection.lost) throw new FleetError("unavailable", LEADER_GONE);
      throw error;
    }
  }

  /**
   * Somebody else leads now, or nobody is known to. A leader that hangs keeps its connections: who waits for its
   * answer hears at once that there is another one, or after as long as an election may take.
   */
  leaderChanged(): void {
    this.#cancelWait();
    const connection = this.#connection;
    if (!connection) return;
    const { clock, leader } = this.#options;
    const found = leader();
    if (found !== "here" && found?.nodeId === connection.nodeId) return;
    if (found) this.#lose(connection);
    else this.#cancelWait = clock.after(LEADER_WAIT_MS, () => this.#lose(connection));
  }

  #lose(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.lost = true;
    connection.caller.close();
  }

  close(): void {
    this.#cancelWait();
    this.#dialling = undefined;
    this.#connection?.caller.close();
    this.#connection = undefined;
  }

  /** The kept connection, or one new one for all who ask meanwhile: a node has only so many of them. */
  async #connect(
    leader: { nodeId: string; addr: string },
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const kept = this.#connection;
    if (kept?.nodeId === leader.nodeId && !kept.caller.closed.aborted) return kept;
    if (this.#dialling?.nodeId !== leader.nodeId) this.#dial(leader);
    return await orAborted(this.#dialling!.connected, signal);
  }

  #dial({ nodeId, addr }: { nodeId: string; addr: string }): void {
    if (this.#connection) this.#lose(this.#connection);
    const connected = this.#options.dialer.connect(addr, { expectNodeId: nodeId })
      .then((caller): Connection => {
        const connection = { nodeId, caller, lost: false };
        if (this.#dialling === dialling) this.#connection = connection;
        // Somebody else leads by now, or nobody is asked any more.
        else this.#lose(connection);
        return connection;
      }).finally(() => {
        if (this.#dialling === dialling) this.#dialling = undefined;
      });
    // Who waits for it hears of a failure; all of them may have gone.
    connected.catch(() => {});
    const dialling = { nodeId, connected };
    this.#dialling = dialling;
  }

  async #awaitLeader(signal?: AbortSignal): Promise<{ nodeId: string; addr: string } | "here"> {
    const { clock, leader, noLeader } = this.#options;
    const deadline = clock.monotonic() + LEADER_WAIT_MS;
    for (;;) {
      const found = leader();
      if (found) return found;
      if (clock.monotonic() >= deadline) throw new FleetError("unavailable", noLeader());
      await new Promise<void>((resolve) => clock.after(LEADER_POLL_MS, resolve));
      signal?.throwIfAborted();
    }
  }
}

/** `promise`, or the signal's reason when that comes first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
