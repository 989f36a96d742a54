import { FleetError, messageOf } from "../../base/errors.ts";
import type { FromAgent, FromDispatcher } from "../../model/session.ts";
import type { RpcCaller, RpcDialer, RpcStream } from "../rpc.ts";

/** An open session, as the agent sees it. */
export interface OpenSession {
  send(message: FromAgent): Promise<void>;
  readonly messages: AsyncIterable<FromDispatcher>;
  /** A stream of its own for the answer to a question. */
  answer(requestId: string): RpcStream;
  close(): void;
}

/** Time to reach one manager; the next one is tried after it. */
const DIAL_TIMEOUT_MS = 3_000;

/** Opens sessions with whoever leads, found through any manager that answers. */
export class SessionTransport {
  readonly #dialer: RpcDialer;
  readonly #managers: () => readonly string[];

  constructor(options: { dialer: RpcDialer; managers: () => readonly string[] }) {
    this.#dialer = options.dialer;
    this.#managers = options.managers;
  }

  /** @throws FleetError unavailable, naming each manager that was tried and why it did not do */
  async open(signal: AbortSignal): Promise<OpenSession> {
    const failures: string[] = [];
    const tried = new Set<string>();
    for (const address of this.#managers()) {
      if (tried.has(address)) continue;
      tried.add(address);
      try {
        return await this.#openThrough(address, tried, signal);
      } catch (error) {
        signal.throwIfAborted();
        failures.push(messageOf(error));
      }
    }
    throw new FleetError("unavailable", failures.join("; ") || "no manager is known");
  }

  async #openThrough(
    address: string,
    tried: Set<string>,
    signal: AbortSignal,
  ): Promise<OpenSession> {
    const caller = await this.#dialer.connect(address, { signal, timeoutMs: DIAL_TIMEOUT_MS });
    let leader: { nodeId: string; addr: string };
    try {
      leader = await caller.call("cluster.leader", {}, { signal, timeoutMs: DIAL_TIMEOUT_MS }) as {
        nodeId: string;
        addr: string;
      };
    } catch (error) {
      caller.close();
      throw error;
    }
    if (leader.addr === address) return session(caller, signal);
    caller.close();
    tried.add(leader.addr);
    const toLeader = await this.#dialer.connect(leader.addr, {
      signal,
      timeoutMs: DIAL_TIMEOUT_MS,
      expectNodeId: leader.nodeId,
    });
    return session(toLeader, signal);
  }
}

function session(caller: RpcCaller, signal: AbortSignal): OpenSession {
  const stream: RpcStream = caller.open("dispatcher.session", {}, { signal });
  return {
    send: (message) => stream.send(message),
    answer: (requestId) => caller.open("tasks.answer", { requestId }, { signal }),
    messages: stream as AsyncIterable<FromDispatcher>,
    close: () => {
      stream.cancel("the agent ends its session");
      caller.close();
    },
  };
}
