import { close, pump, writeAll } from "../../base/duplex.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { proxyHeader, unmapped } from "../../core/network/proxy_header.ts";
import { relayedKey } from "../../core/network/relayed_ports.ts";
import type { RelayedPort } from "../../core/network/relayed_ports.ts";

/** Connections relayed at once; more are closed as they come. */
const MAX_CONNECTIONS = 8_192;
/** A task that does not answer in this time is passed over. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Tasks tried for one client. */
const MAX_TRIES = 3;

export interface PortRelayOptions {
  readonly logger: Logger;
  /** Where it listens; all addresses of the machine, IPv6 and IPv4, unless told otherwise. */
  readonly hostname?: string;
}

interface Listening {
  port: RelayedPort;
  next: number;
  readonly listener: Deno.TcpListener;
}

/** Answers at published ports with connections of its own to the tasks. */
export class PortRelay {
  readonly #options: PortRelayOptions;
  readonly #listening = new Map<number, Listening>();
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #loops = new Set<Promise<void>>();
  #full = false;

  constructor(options: PortRelayOptions) {
    this.#options = options;
  }

  /**
   * Answers at these ports and no others; connections that are there stay. Why it cannot listen, by
   * `tcp/port`.
   */
  serve(ports: readonly RelayedPort[]): ReadonlyMap<string, string> {
    const problems = new Map<string, string>();
    const wanted = new Set(ports.map(({ published }) => published));
    for (const [published, { listener }] of this.#listening) {
      if (wanted.has(published)) continue;
      this.#listening.delete(published);
      listener.close();
    }
    for (const port of ports) {
      const known = this.#listening.get(port.published);
      if (known) known.port = port;
      else {
        try {
          this.#listen(port);
        } catch (error) {
          problems.set(relayedKey(port), messageOf(error));
        }
      }
    }
    return problems;
  }

  /** Whether it answers at this port. */
  listensAt(port: number): boolean {
    return this.#listening.has(port);
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    this.serve([]);
    for (const connection of this.#connections) close(connection);
    await Promise.all(this.#loops);
  }

  #listen(port: RelayedPort): void {
    const { hostname = "::" } = this.#options;
    const open = (at: string) => Deno.listen({ hostname: at, port: port.published });
    let listener: Deno.TcpListener;
    try {
      listener = open(hostname);
    } catch (error) {
      // A kernel without IPv6.
      if (hostname !== "::" || error instanceof Deno.errors.AddrInUse) throw error;
      listener = open("0.0.0.0");
    }
    const listening: Listening = { port, next: 0, listener };
    this.#listening.set(port.published, listening);
    this.#go(this.#accept(listening));
  }

  #go(work: Promise<void>): void {
    const loop: Promise<void> = work.finally(() => this.#loops.delete(loop));
    this.#loops.add(loop);
  }

  async #accept(listening: Listening): Promise<void> {
    for (;;) {
      let client: Deno.TcpConn;
      try {
        client = await listening.listener.accept();
      } catch (error) {
        if (this.#listening.get(listening.port.published) !== listening) return;
        // A client that went away at once; or no file descriptors, which come back.
        this.#options.logger.log("debug", "a connection was not accepted", {
          port: listening.port.published,
          error: messageOf(error),
        });
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      if (!this.#hasRoom()) close(client);
      else this.#go(this.#relay(client, listening));
    }
  }

  #hasRoom(): boolean {
    const full = this.#connections.size >= 2 * MAX_CONNECTIONS;
    if (full && !this.#full) {
      this.#options.logger.log("warn", "connections to published ports are refused", {
        relayed: MAX_CONNECTIONS,
      });
    }
    this.#full = full;
    return !full;
  }

  async #relay(client: Deno.TcpConn, listening: Listening): Promise<void> {
    const { port } = listening;
    const from = client.remoteAddr as Deno.NetAddr;
    this.#connections.add(client);
    let task: Deno.TcpConn | undefined;
    try {
      if (!port.ipv4 && isIpv4(from.hostname)) return;
      task = await connect(port, listening.next++);
      this.#connections.add(task);
      for (const connection of [client, task]) {
        connection.setNoDelay(true);
        connection.setKeepAlive(true);
      }
      if (port.header) await writeAll(task, proxyHeader(from, client.localAddr as Deno.NetAddr));
      await Promise.all([pump(client, task), pump(task, client)]);
    } catch (error) {
      this.#options.logger.log("debug", "a relayed connection has ended early", {
        port: port.published,
        error: messageOf(error),
      });
    } finally {
      for (const connection of [client, task]) {
        if (!connection) continue;
        this.#connections.delete(connection);
        close(connection);
      }
    }
  }
}

const isIpv4 = (hostname: string) => !unmapped(hostname).includes(":");

/** Each task in its turn; the next one for a client whose task does not answer. */
async function connect({ reals, target }: RelayedPort, turn: number): Promise<Deno.TcpConn> {
  let failure: unknown;
  for (let i = 0; i < Math.min(MAX_TRIES, reals.length); i++) {
    const hostname = reals[(turn + i) % reals.length]!;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), CONNECT_TIMEOUT_MS);
    try {
      return await Deno.connect({ hostname, port: target, signal: late.signal });
    } catch (error) {
      failure = error;
    } finally {
      clearTimeout(timer);
    }
  }
  throw failure;
}
