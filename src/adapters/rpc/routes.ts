/** The route table: which role may call what. Everything that is not listed is refused. */
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { FRAME_TIMEOUT_MS, MAX_ROUTE_CHARS } from "./limits.ts";
import { describePeer } from "./peer.ts";
import type { MuxStream } from "./stream.ts";
import type {
  Peer,
  RouteOptions,
  RouteTable,
  RpcContext,
  StreamHandler,
  UnaryHandler,
} from "./types.ts";

type Entry =
  & RouteOptions
  & ({ readonly unary: UnaryHandler } | { readonly stream: StreamHandler });

const ROUTE_NAME = /^[a-z][a-zA-Z0-9._-]*$/;

export class Routes implements RouteTable {
  readonly #entries = new Map<string, Entry>();

  route(name: string, options: RouteOptions, handler: UnaryHandler): void {
    this.#add(name, { roles: options.roles, unary: handler });
  }

  streamRoute(name: string, options: RouteOptions, handler: StreamHandler): void {
    this.#add(name, { roles: options.roles, stream: handler });
  }

  #add(name: string, entry: Entry): void {
    assert(ROUTE_NAME.test(name) && name.length <= MAX_ROUTE_CHARS, `route name ${name}`);
    assert(!this.#entries.has(name), `route ${name} is registered twice`);
    assert(entry.roles.length > 0, `route ${name} is for nobody`);
    this.#entries.set(name, entry);
  }

  /** Every route with its roles, for tests that compare the table with what was meant. */
  list(): { name: string; roles: readonly string[] }[] {
    return [...this.#entries].map(([name, { roles }]) => ({ name, roles }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** The entry if `peer` may call it. @throws FleetError unauthorized, forbidden, unimplemented */
  #authorise(name: string, peer: Peer): Entry {
    const entry = this.#entries.get(name);
    // Whoever has no certificate learns nothing about which routes there are.
    if (peer.role === "anonymous" && !entry?.roles.includes("anonymous")) {
      throw new FleetError("unauthorized", "this call needs a node certificate of the cluster");
    }
    if (!entry) {
      throw new FleetError("unimplemented", `this manager has no route ${JSON.stringify(name)}`);
    }
    if (!entry.roles.includes(peer.role)) {
      throw new FleetError("forbidden", `${describePeer(peer)} may not call ${name}`);
    }
    return entry;
  }

  /** Serves one stream to its end. Never rejects. */
  async serve(stream: MuxStream, route: string, serving: Serving): Promise<void> {
    try {
      const refusal = serving.refuse?.(stream.peer);
      if (refusal !== undefined) throw new FleetError("forbidden", refusal);
      const entry = this.#authorise(route, stream.peer);
      const context = new Context(route, stream, serving.remoteAddress);
      if ("stream" in entry) {
        stream.widen();
        await entry.stream(stream, context);
      } else {
        const body = await readBody(stream, serving.clock);
        // Cancelled before it began: a handler would wait for an abort that has already happened.
        if (stream.failure) return;
        const answer = await entry.unary(body, context);
        if (answer !== undefined && !stream.over) await stream.send(answer);
      }
      stream.closeBoth();
    } catch (error) {
      stream.abort(this.#outward(error, stream, route, serving));
    }
  }

  #outward(error: unknown, stream: MuxStream, route: string, serving: Serving): FleetError {
    const who = { route, peer: describePeer(stream.peer), address: serving.remoteAddress };
    if (error instanceof FleetError) {
      const severe = error.kind === "forbidden" || error.kind === "unauthorized";
      serving.logger.log(severe ? "warn" : "debug", `call failed: ${error.message}`, who);
      return error;
    }
    if (stream.signal.aborted) return new FleetError("canceled", "the call was cancelled");
    serving.logger.log("error", `route failed: ${messageOf(error)}`, who);
    return new FleetError("internal", `internal error in ${route}; the manager's log has more`);
  }
}

/** What serving needs to know of the connection. */
export interface Serving {
  readonly remoteAddress: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A sentence when this peer is no longer welcome. */
  readonly refuse?: (peer: Peer) => string | undefined;
}

class Context implements RpcContext {
  constructor(
    readonly route: string,
    readonly stream: MuxStream,
    readonly remoteAddress: string,
  ) {}
  get peer(): Peer {
    return this.stream.peer;
  }
  get signal(): AbortSignal {
    return this.stream.signal;
  }
}

async function readBody(stream: MuxStream, clock: Clock): Promise<unknown> {
  const cancel = clock.after(FRAME_TIMEOUT_MS, () => {
    stream.abort(new FleetError("timeout", "the body of the call did not arrive"));
  });
  try {
    const first = await stream.next();
    return first.done ? undefined : first.value;
  } finally {
    cancel();
  }
}
