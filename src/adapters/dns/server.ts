import dgram from "node:dgram";
import net from "node:net";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { randomInt } from "../../base/random.ts";
import { NameIndex } from "../../core/network/names.ts";
import type { NameTable } from "../../core/network/names.ts";
import { Forwarder, framed } from "./forwarder.ts";
import type { HostResolvers } from "./host_resolvers.ts";
import { decodeQuery, encodeAnswer, encodeError } from "./wire.ts";
import type { Query, Rcode, Record } from "./wire.ts";

/** Connections per address; one more is closed at once. */
const MAX_TCP_CONNECTIONS = 256;
/** A connection that asks nothing for this long is closed (RFC 7766 6.2.3). */
const TCP_IDLE_MS = 10_000;
/** Questions of one container that wait for other servers; a container cannot take all places. */
const MAX_FORWARDED_PER_ASKER = 128;
/** Questions of one connection that are being answered; reading pauses beyond it. */
const MAX_PIPELINED = 32;

export interface DnsServerOptions {
  readonly clock: Clock;
  /** For message ids: must not be guessable. */
  readonly random: Random;
  readonly resolvers: Pick<HostResolvers, "current">;
  /** 53; tests have other ports. */
  readonly port?: number;
  /** Port of the servers that are asked; tests have other ports. */
  readonly forwardPort?: number;
}

export interface DnsStats {
  readonly queries: number;
  /** Answered from the table, denials included. */
  readonly answered: number;
  readonly forwarded: number;
  /** Neither we nor any other server had an answer (SERVFAIL). */
  readonly failed: number;
  /** Not a DNS question: dropped, or refused with FORMERR. */
  readonly malformed: number;
}

/** An address that could not be listened on, and why. */
export interface ListenFailure {
  readonly address: string;
  readonly reason: string;
}

/**
 * The node's name server: listens on the gateway address of every overlay network that is present on
 * the node, UDP and TCP. Answers from the table by who asks; the rest goes to the host's resolvers.
 */
export class DnsServer {
  #table: () => NameTable = () => ({ networks: [] });
  /** Of the table; made for the first question after a change. */
  #index: NameIndex | undefined;
  readonly #listeners = new Map<string, Listener>();
  readonly #forwarder: Forwarder;
  readonly #stopping = new AbortController();
  readonly #waiting = new Map<string, number>();
  readonly #counts = { queries: 0, answered: 0, forwarded: 0, failed: 0, malformed: 0 };

  constructor(readonly options: DnsServerOptions) {
    this.#forwarder = new Forwarder({
      clock: options.clock,
      random: options.random,
      ...(options.forwardPort === undefined ? {} : { port: options.forwardPort }),
    });
  }

  get stats(): DnsStats {
    return { ...this.#counts };
  }

  get addresses(): string[] {
    return [...this.#listeners.keys()].sort();
  }

  /**
   * Answers from what `table` gives from now on. It is asked for with the next question: of many changes
   * between two questions only the last one costs anything.
   */
  setTable(table: () => NameTable): void {
    this.#table = table;
    this.#index = undefined;
  }

  /**
   * Listens on exactly `addresses`. May be called again and again, one call at a time: what listens
   * already stays, and an address whose bridge was made anew is to be left out once in between.
   * Returns those that could not be had; they are tried again with the next call.
   */
  async listenOn(addresses: readonly string[]): Promise<ListenFailure[]> {
    for (const [address, listener] of this.#listeners) {
      if (addresses.includes(address)) continue;
      this.#listeners.delete(address);
      await listener.close();
    }
    const failures: ListenFailure[] = [];
    for (const address of addresses) {
      if (this.#listeners.has(address) || this.#stopping.signal.aborted) continue;
      try {
        this.#listeners.set(address, await this.#listen(address));
      } catch (error) {
        failures.push({ address, reason: reasonOf(error, address, this.options.port ?? 53) });
      }
    }
    return failures;
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.listenOn([]);
  }

  async #listen(address: string): Promise<Listener> {
    const port = this.options.port ?? 53;
    const udp = await this.#listenUdp(address, port);
    try {
      const tcp = await this.#listenTcp(address, port);
      return {
        close: async () => {
          await Promise.all([udp.close(), tcp.close()]);
        },
      };
    } catch (error) {
      await udp.close();
      throw error;
    }
  }

  #listenUdp(address: string, port: number): Promise<Listener> {
    const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("message", (message, from) => {
      this.#reply("udp", message, from.address).then((answer) => {
        // Whoever asked may be gone; the failure is its own.
        if (answer) socket.send(answer, from.port, from.address, () => {});
      }).catch(() => {});
    });
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.off("error", reject);
        socket.on("error", () => {});
        resolve({
          close: () => new Promise((done) => socket.close(() => done())),
        });
      });
    });
  }

  #listenTcp(address: string, port: number): Promise<Listener> {
    const connections = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      connections.add(socket);
      socket.on("close", () => connections.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
      this.#serveConnection(socket);
    });
    server.maxConnections = MAX_TCP_CONNECTIONS;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port }, () => {
        server.off("error", reject);
        server.on("error", () => {});
        resolve({
          close: () =>
            new Promise((done) => {
              server.close(() => done());
              for (const socket of connections) socket.destroy();
            }),
        });
      });
    });
  }

  #serveConnection(socket: net.Socket): void {
    const from = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    let pending: Uint8Array = new Uint8Array();
    let underWay = 0;
    const takeAll = () => {
      while (underWay < MAX_PIPELINED && pending.length >= 2) {
        const length = (pending[0]! << 8) | pending[1]!;
        if (pending.length < length + 2) break;
        const message = pending.slice(2, length + 2);
        pending = pending.subarray(length + 2);
        underWay++;
        this.#reply("tcp", message, from).then((answer) => {
          if (answer) socket.write(framed(answer));
          else socket.destroy();
        }).catch(() => socket.destroy()).finally(() => {
          underWay--;
          takeAll();
          if (underWay < MAX_PIPELINED) socket.resume();
        });
      }
      if (underWay >= MAX_PIPELINED) socket.pause();
    };
    socket.on("data", (chunk: Uint8Array) => {
      const joined = new Uint8Array(pending.length + chunk.length);
      joined.set(pending);
      joined.set(chunk, pending.length);
      pending = joined;
      takeAll();
    });
  }

  /** The answer's bytes; undefined when there is to be none. */
  async #reply(
    transport: "udp" | "tcp",
    message: Uint8Array,
    asker: string,
  ): Promise<Uint8Array | undefined> {
    this.#counts.queries++;
    const decoded = decodeQuery(message);
    if (decoded.kind !== "query") {
      this.#counts.malformed++;
      return decoded.kind === "drop" ? undefined : encodeError(message, decoded.rcode);
    }
    const { query } = decoded;
    const limit = transport === "udp" ? query.udpSize : Infinity;
    const own = (rcode: Rcode, records: readonly Record[] = [], ttl = 0) => {
      this.#counts.answered++;
      return encodeAnswer(query, rcode, records, ttl, limit);
    };
    const index = this.#index ??= new NameIndex(this.#table());
    const answer = index.answer(asker, query);
    switch (answer.kind) {
      case "addresses":
        return own(
          "NOERROR",
          shuffled(answer.addresses, this.options.random).map(addressRecord),
          answer.ttl,
        );
      case "names":
        return own("NOERROR", answer.names.map((data) => ({ type: "PTR", data })), answer.ttl);
      case "empty":
        return own("NOERROR");
      case "absent":
        return own("NXDOMAIN");
      case "forward": {
        const servers = (answer.nameservers ?? this.options.resolvers.current())
          .filter((server) => !this.#listeners.has(server));
        // Nobody to ask: what we do not know does not exist.
        if (servers.length === 0) return own("NXDOMAIN");
        return await this.#forward(servers, transport, message, query, asker);
      }
    }
  }

  async #forward(
    servers: readonly string[],
    transport: "udp" | "tcp",
    message: Uint8Array,
    query: Query,
    asker: string,
  ): Promise<Uint8Array> {
    const waiting = this.#waiting.get(asker) ?? 0;
    if (waiting < MAX_FORWARDED_PER_ASKER) {
      this.#waiting.set(asker, waiting + 1);
      try {
        const { signal } = this.#stopping;
        const answer = await this.#forwarder.ask(servers, transport, message, signal);
        if (answer) {
          this.#counts.forwarded++;
          return answer;
        }
      } finally {
        const left = (this.#waiting.get(asker) ?? 1) - 1;
        if (left > 0) this.#waiting.set(asker, left);
        else this.#waiting.delete(asker);
      }
    }
    this.#counts.failed++;
    return encodeAnswer(query, "SERVFAIL", [], 0);
  }
}

interface Listener {
  close(): Promise<void>;
}

function addressRecord(data: string): Record {
  return { type: data.includes(":") ? "AAAA" : "A", data };
}

/** In random order: many clients take the first address. */
function shuffled(addresses: readonly string[], random: Random): string[] {
  const order = [...addresses];
  for (let i = order.length - 1; i > 0; i--) {
    const j = randomInt(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

function reasonOf(error: unknown, address: string, port: number): string {
  const text = messageOf(error);
  if (/EADDRINUSE|in use/i.test(text)) {
    return `another program listens on port ${port} of every address; bind it to its own addresses so that ${address} is free for the names of containers`;
  }
  if (/EADDRNOTAVAIL|not available|assign requested/i.test(text)) {
    return `the address ${address} is not on this machine`;
  }
  return text;
}
