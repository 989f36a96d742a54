import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { DatagramFlows } from "../../core/network/datagram_flows.ts";
import type { DatagramFlow } from "../../core/network/datagram_flows.ts";
import { relayedKey } from "../../core/network/relayed_ports.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";
import { localIpv6 } from "./local_addresses.ts";
import { ReceiveBuffers } from "./receive_buffers.ts";

/** Sockets that listen, one for each address of the machine and port. */
const MAX_SOCKETS = 4_096;
/** Flows at once, each with a socket of its own to its task; for one more the oldest goes. */
const MAX_FLOWS = 4_096;
/** Datagrams that one socket has not yet got rid of; more are lost, as in any full queue. */
const MAX_SENDING = 64;

export interface DatagramRelayOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly logger: Logger;
  /** Where it listens; the machine's IPv6 addresses, as they are each time, unless told otherwise. */
  readonly addresses?: () => readonly string[];
  /** Fewer than usual, for tests. */
  readonly maxFlows?: number;
}

/** A socket, and what it has not yet sent. */
interface Socket {
  readonly conn: Deno.DatagramConn;
  sending: number;
}

/** Where clients send to. */
interface Local extends Socket {
  readonly key: string;
  readonly published: number;
}

/** Where a client's datagrams go on to its task. */
interface Upstream extends Socket {
  readonly local: Local;
}

/**
 * Answers datagrams at published ports over IPv6: passes each client's on to one task over IPv4, and back
 * what that task says. It listens at each address by itself, since what a socket for all of them sends
 * comes from whichever address the kernel likes best, and clients take no answer but from the one asked.
 */
export class DatagramRelay {
  readonly #options: DatagramRelayOptions;
  readonly #locals = new Map<string, Local>();
  readonly #flows: DatagramFlows;
  readonly #upstreams = new Map<DatagramFlow, Upstream>();
  readonly #buffers = new ReceiveBuffers();
  readonly #work = new Set<Promise<void>>();

  constructor(options: DatagramRelayOptions) {
    this.#options = options;
    this.#flows = new DatagramFlows(options.maxFlows ?? MAX_FLOWS);
  }

  /**
   * Answers at these ports, at the addresses that the machine has now, and at no others; flows that are
   * there stay with their tasks. To be called again and again: addresses come and go, and flows on which
   * nothing is said end by this. Why it cannot listen, by `udp/port`.
   */
  serve(ports: readonly RelayedPort[]): ReadonlyMap<string, string> {
    const problems = new Map<string, string>();
    const { addresses = () => localIpv6(Deno.networkInterfaces()) } = this.#options;
    const at = ports.length > 0 ? addresses() : [];
    const wanted = new Map<string, { readonly hostname: string; readonly port: RelayedPort }>();
    for (const port of ports) {
      for (const hostname of at) wanted.set(keyOf(hostname, port.published), { hostname, port });
    }
    for (const [key, local] of this.#locals) if (!wanted.has(key)) this.#close(local);
    for (const flow of this.#flows.serve(ports, this.#options.clock.monotonic())) {
      this.#end(flow);
    }
    for (const [key, { hostname, port }] of wanted) {
      if (this.#locals.has(key)) continue;
      const problem = this.#listen(key, hostname, port.published);
      if (problem !== undefined) problems.set(relayedKey(port), problem);
    }
    return problems;
  }

  /** Ends all flows. */
  async close(): Promise<void> {
    this.serve([]);
    await Promise.all(this.#work);
  }

  /** Why it cannot listen there; undefined as well where an address is not there yet, or no more. */
  #listen(key: string, hostname: string, port: number): string | undefined {
    if (this.#locals.size >= MAX_SOCKETS) {
      return `${hostname}: the agent listens at ${MAX_SOCKETS} addresses and ports already`;
    }
    let conn: Deno.DatagramConn;
    try {
      conn = Deno.listenDatagram({ transport: "udp", hostname, port });
    } catch (error) {
      return isAway(error) ? undefined : `${hostname}: ${messageOf(error)}`;
    }
    const local: Local = { key, published: port, conn, sending: 0 };
    this.#locals.set(key, local);
    this.#go(this.#receive(local, (datagram, from) => this.#passOn(local, datagram, from)));
    return;
  }

  #passOn(local: Local, datagram: Uint8Array, client: Deno.NetAddr): void {
    // Somebody pretends to be a port that is answered here: two tasks would talk to each other for ever.
    if (this.#locals.has(keyOf(client.hostname, client.port))) return;
    const now = this.#options.clock.monotonic();
    const key = `${client.hostname} ${client.port} ${local.key}`;
    const flow = this.#flows.find(key, now) ?? this.#begin(key, local, client, now);
    const upstream = flow && this.#upstreams.get(flow);
    if (!upstream) return;
    this.#send(upstream, datagram, { transport: "udp", hostname: flow.task, port: flow.target });
  }

  #begin(key: string, local: Local, client: Deno.NetAddr, now: number): DatagramFlow | undefined {
    const begun = this.#flows.begin(key, local.published, now);
    if (!begun) return;
    const { flow, ended } = begun;
    if (ended) this.#end(ended);
    let conn: Deno.DatagramConn;
    try {
      conn = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
    } catch (error) {
      // No file descriptors, which come back.
      this.#options.logger.log("debug", "a client's datagrams were not passed on", {
        port: local.published,
        error: messageOf(error),
      });
      this.#flows.end(flow);
      return;
    }
    const upstream: Upstream = { local, conn, sending: 0 };
    this.#upstreams.set(flow, upstream);
    const receiving = this.#receive(upstream, (datagram, { hostname, port }) => {
      // Anybody may send to the socket; for the client it is the task that speaks.
      if (hostname !== flow.task || port !== flow.target) return;
      this.#flows.answered(flow, this.#options.clock.monotonic());
      this.#send(local, datagram, client);
    });
    this.#go(receiving.finally(() => this.#end(flow)));
    return flow;
  }

  /** Until the socket is closed; one that broke is closed, and made anew with what comes next. */
  async #receive(
    socket: Local | Upstream,
    take: (datagram: Uint8Array, from: Deno.NetAddr) => void,
  ): Promise<void> {
    const buffer = this.#buffers.take();
    try {
      for (;;) {
        const [datagram, from] = await socket.conn.receive(buffer);
        take(datagram, from as Deno.NetAddr);
      }
    } catch (error) {
      if ("key" in socket && this.#locals.get(socket.key) === socket) {
        this.#options.logger.log("debug", "an address is not listened at for a moment", {
          address: socket.key,
          error: messageOf(error),
        });
        this.#close(socket);
      }
    } finally {
      this.#buffers.give(buffer);
    }
  }

  /** What cannot be sent is lost, as on its way: who waits for it asks again. */
  #send(socket: Socket, datagram: Uint8Array, to: Deno.NetAddr): void {
    if (socket.sending >= MAX_SENDING) return;
    socket.sending++;
    // The next one is received into the same memory.
    this.#go(
      socket.conn.send(datagram.slice(), to).then(() => {}, () => {})
        .finally(() => void socket.sending--),
    );
  }

  #close(local: Local): void {
    this.#locals.delete(local.key);
    for (const [flow, upstream] of this.#upstreams) if (upstream.local === local) this.#end(flow);
    local.conn.close();
  }

  #end(flow: DatagramFlow): void {
    this.#flows.end(flow);
    this.#upstreams.get(flow)?.conn.close();
    this.#upstreams.delete(flow);
  }

  #go(work: Promise<void>): void {
    const going: Promise<void> = work.finally(() => this.#work.delete(going));
    this.#work.add(going);
  }
}

const keyOf = (hostname: string, port: number) => `${hostname} ${port}`;

/**
 * An address that another machine may have (it is being looked for), that was taken away just now, or
 * whose interface was.
 */
const isAway = (error: unknown) =>
  error instanceof Deno.errors.AddrNotAvailable || /\(os error 19\)/.test(messageOf(error));
