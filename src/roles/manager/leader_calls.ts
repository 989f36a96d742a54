import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import type { RpcCaller, RpcDialer } from "../rpc.ts";

/** Until a leader is known, a call waits this long for one: an election usually ends sooner. */
const LEADER_WAIT_MS = 3_000;
const LEADER_POLL_MS = 50;

export interface LeaderCallsOptions {
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  /** `here` while this manager leads itself. */
  readonly leader: () => { readonly nodeId: string; readonly addr: string } | "here" | undefined;
  /** The sentence for "no leader", naming who cannot be reached. */
  readonly noLeader: () => string;
}

/** One kept connection to whoever leads, for calls that a follower passes on. */
export class LeaderCalls {
  readonly #options: LeaderCallsOptions;
  #connection: { readonly nodeId: string; readonly caller: RpcCaller } | undefined;

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
    const caller = await this.#connect(leader, signal);
    return await caller.call(route, body, signal ? { signal } : {});
  }

  close(): void {
    this.#connection?.caller.close();
    this.#connection = undefined;
  }

  async #connect(
    leader: { nodeId: string; addr: string },
    signal: AbortSignal | undefined,
  ): Promise<RpcCaller> {
    const kept = this.#connection;
    if (kept?.nodeId === leader.nodeId && !kept.caller.closed.aborted) return kept.caller;
    kept?.caller.close();
    const caller = await this.#options.dialer.connect(leader.addr, {
      expectNodeId: leader.nodeId,
      ...(signal ? { signal } : {}),
    });
    this.#connection = { nodeId: leader.nodeId, caller };
    return caller;
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
