import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import type { RpcCaller, RpcDialer } from "../rpc.ts";

/** Until a leader is known, a call waits this long for one: an election usually ends sooner. */
const LEADER_WAIT_MS = 3_000;
const LEADER_POLL_MS = 50;

export interface LeaderCallsOptions {
  readonly dialer: RpcDialer;
  readonly clock: Clock;
  readonly leader: () => { readonly nodeId: string; readonly addr: string } | undefined;
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

  /** @throws FleetError of the leader's answer, or unavailable when there is no leader to be reached */
  async call(route: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
    const leader = await this.#awaitLeader(signal);
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

  async #awaitLeader(signal?: AbortSignal): Promise<{ nodeId: string; addr: string }> {
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
