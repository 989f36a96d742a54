/** The listener on TCP 2377: handshakes, identities, and who has to go when there are too many. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import * as tls from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { formatAddress, parseAddress } from "./address.ts";
import { BoundedBySource } from "./bounded_by_source.ts";
import { Connection } from "./connection.ts";
import * as bound from "./limits.ts";
import { limitedLogger } from "./log_limiter.ts";
import { describePeer, identify } from "./peer.ts";
import type { Routes } from "./routes.ts";
import { socketChannel } from "./socket_channel.ts";
import type { CredentialsSource, Peer, RpcListener, TlsCredentials } from "./types.ts";

export interface RpcServerOptions {
  /** `0.0.0.0:2377`; port 0 picks a free one. */
  readonly address: string;
  readonly credentials: CredentialsSource;
  /** Certificates of any other cluster are refused, even from the same root. */
  readonly clusterId: string;
  readonly routes: Routes;
  /**
   * A sentence when a node with a valid certificate must not be served: it was removed, or its role has
   * changed since. Asked at the handshake and for every stream.
   */
  readonly refuse?: (peer: Peer) => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Listens. @throws FleetError conflict when the port is taken, unavailable when it cannot be bound */
export async function listenRpc(options: RpcServerOptions): Promise<RpcListener> {
  const server = new RpcServer(options);
  await server.listen();
  return server;
}

interface Accepted {
  readonly connection: Connection;
  readonly peer: Peer;
}

class RpcServer implements RpcListener {
  readonly #options: RpcServerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #server: tls.Server;
  readonly #halfOpen = new BoundedBySource<Socket>(
    bound.MAX_HALF_OPEN,
    bound.MAX_HALF_OPEN_PER_SOURCE,
  );
  /** Half-open sockets by remote address and port, which is all that the finished TLS socket shows. */
  readonly #bySocketName = new Map<string, { raw: Socket; cancelTimer: () => void }>();
  readonly #anonymous = new BoundedBySource<Connection>(
    bound.MAX_ANONYMOUS,
    bound.MAX_ANONYMOUS_PER_SOURCE,
  );
  readonly #accepted = new Map<Connection, Accepted>();
  readonly #byNode = new Map<string, Set<Connection>>();
  readonly #unsubscribe: () => void;
  #address: string;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#logger = limitedLogger(options.logger, options.clock);
    this.#address = options.address;
    this.#server = tls.createServer({
      ...secureContext(options.credentials.current()),
      requestCert: true,
      // Callers without a certificate may join; whoever shows a bad one is refused in #admit.
      rejectUnauthorized: false,
      ALPNProtocols: [bound.PROTOCOL],
      minVersion: "TLSv1.3",
      // The runtime keeps a TLS socket until this timer ends, also when its connection has long gone: two
      // minutes by default, in which a flood of connections would pile up.
      handshakeTimeout: bound.HANDSHAKE_TIMEOUT_MS,
    });
    this.#server.on("connection", (raw: Socket) => this.#onRaw(raw));
    this.#server.on("secureConnection", (socket: tls.TLSSocket) => this.#onSecure(socket));
    this.#server.on("tlsClientError", (error: Error) => {
      this.#logger.log("debug", `TLS handshake failed: ${error.message}`);
    });
    this.#server.on("error", (error: Error) => {
      this.#logger.log("error", `listener on ${this.#address}: ${error.message}`);
    });
    this.#unsubscribe = options.credentials.onChange(() => this.#onCredentials());
  }

  get address(): string {
    return this.#address;
  }

  async listen(): Promise<void> {
    const { host, port } = parseAddress(this.#options.address);
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error & { code?: string }) => {
        this.#unsubscribe();
        const kind = error.code === "EADDRINUSE" ? "conflict" : "unavailable";
        reject(
          new FleetError(kind, `cannot listen on ${this.#address}: ${error.message}`, {
            cause: error,
          }),
        );
      };
      this.#server.once("error", onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", onError);
        resolve();
      });
    });
    this.#address = formatAddress(host, (this.#server.address() as AddressInfo).port);
  }

  closeConnectionsOf(nodeId: string): void {
    const reason = `node ${nodeId} is no longer part of the cluster or has changed its role`;
    for (const connection of [...this.#byNode.get(nodeId) ?? []]) {
      connection.close("forbidden", reason);
    }
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const raw of this.#halfOpen.values()) this.#dropHalfOpen(raw);
    for (const connection of [...this.#accepted.keys()]) {
      connection.close("unavailable", `manager ${this.#address} is stopping`);
    }
    await closed;
  }

  /** New handshakes use the new credentials; live connections are not touched. */
  #onCredentials(): void {
    try {
      this.#server.setSecureContext(secureContext(this.#options.credentials.current()));
    } catch (error) {
      const sentence = `new certificate cannot be used, the old one stays: ${messageOf(error)}`;
      this.#options.logger.log("error", sentence);
    }
  }

  // --- before the handshake is done ---

  #onRaw(raw: Socket): void {
    const source = raw.remoteAddress;
    if (source === undefined || this.#accepted.size >= bound.MAX_CONNECTIONS) {
      raw.destroy();
      return;
    }
    const name = socketName(raw);
    const cancelTimer = this.#clock.after(bound.HANDSHAKE_TIMEOUT_MS, () => {
      this.#logger.log("debug", `no TLS handshake by ${name} in time`);
      this.#dropHalfOpen(raw);
    });
    this.#bySocketName.set(name, { raw, cancelTimer });
    raw.once("close", () => this.#forgetHalfOpen(raw, name));
    const victim = this.#halfOpen.add(raw, source);
    if (victim) this.#dropHalfOpen(victim);
  }

  #dropHalfOpen(raw: Socket): void {
    this.#forgetHalfOpen(raw, socketName(raw));
    raw.destroy();
  }

  #forgetHalfOpen(raw: Socket, name: string): void {
    this.#halfOpen.delete(raw);
    const entry = this.#bySocketName.get(name);
    if (entry?.raw !== raw) return;
    entry.cancelTimer();
    this.#bySocketName.delete(name);
  }

  // --- after it ---

  #onSecure(socket: tls.TLSSocket): void {
    const name = socketName(socket);
    const entry = this.#bySocketName.get(name);
    if (!entry || socket.destroyed) {
      // It was given up while the handshake finished.
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    this.#forgetHalfOpen(entry.raw, name);
    const peer = this.#admit(socket);
    if (typeof peer === "string") this.#refuse(socket, name, peer);
    else this.#serve(socket, name, peer);
  }

  /** Who this is, or why it is refused. */
  #admit(socket: tls.TLSSocket): Peer | string {
    if (socket.alpnProtocol !== bound.PROTOCOL) {
      return `it does not speak ${bound.PROTOCOL} (another version?)`;
    }
    // A resumed session would skip the check against today's roots.
    if (socket.isSessionReused()) return "TLS session resumption is not served";
    const certificate = socket.getPeerCertificate();
    if (certificate?.subject === undefined) return { role: "anonymous" };
    if (!socket.authorized) {
      return `its certificate is not valid in this cluster, or not by this machine's clock (${socket.authorizationError})`;
    }
    const peer = identify(certificate, this.#clock.now());
    if (typeof peer === "string") return peer;
    if (peer.clusterId !== this.#options.clusterId) {
      return `node ${peer.nodeId} belongs to another cluster`;
    }
    return this.#options.refuse?.(peer) ?? peer;
  }

  #refuse(socket: tls.TLSSocket, name: string, reason: string): void {
    this.#logger.log("warn", `connection refused: ${reason}`, { address: name });
    new Connection({
      channel: socketChannel(socket),
      dialler: false,
      peer: { role: "anonymous" },
      peerLabel: name,
      limits: bound.LIMITS.anonymous,
      clock: this.#clock,
    }).close("forbidden", `manager ${this.#address} refused the connection: ${reason}`);
  }

  #serve(socket: tls.TLSSocket, remoteAddress: string, peer: Peer): void {
    const { routes, refuse } = this.#options;
    const peerLabel = `${describePeer(peer)} (${remoteAddress})`;
    const serving = {
      remoteAddress,
      clock: this.#clock,
      logger: this.#logger,
      ...(refuse ? { refuse } : {}),
    };
    const connection = new Connection({
      channel: socketChannel(socket),
      dialler: false,
      peer,
      peerLabel,
      limits: bound.LIMITS[peer.role],
      clock: this.#clock,
      serve: (stream, route) => routes.serve(stream, route, serving),
      onClosed: (reason) => this.#onClosed(connection, peer, peerLabel, reason),
    });
    this.#accepted.set(connection, { connection, peer });
    const victim = peer.role === "anonymous"
      ? this.#anonymous.add(connection, socket.remoteAddress ?? "")
      : this.#addOfNode(peer.nodeId, connection);
    victim?.close("unavailable", "too many connections, the oldest is given up");
  }

  #addOfNode(nodeId: string, connection: Connection): Connection | undefined {
    const own = this.#byNode.get(nodeId) ?? new Set();
    this.#byNode.set(nodeId, own.add(connection));
    return own.size > bound.MAX_CONNECTIONS_PER_NODE ? own.values().next().value : undefined;
  }

  #onClosed(connection: Connection, peer: Peer, peerLabel: string, reason: FleetError): void {
    this.#accepted.delete(connection);
    this.#anonymous.delete(connection);
    if (peer.role !== "anonymous") {
      const own = this.#byNode.get(peer.nodeId);
      own?.delete(connection);
      if (own?.size === 0) this.#byNode.delete(peer.nodeId);
    }
    const level = reason.kind === "invalid" ? "warn" : "debug";
    this.#logger.log(level, `connection of ${peerLabel} ended: ${reason.message}`);
  }
}

/**
 * Checked here because `setSecureContext` accepts anything under Deno and then fails every handshake.
 * @throws when the PEM texts cannot be read or the key is not the certificate's
 */
function secureContext(credentials: TlsCredentials): { ca: string; cert: string; key: string } {
  const leaf = new X509Certificate(credentials.certPem);
  new X509Certificate(credentials.caPem);
  if (!leaf.checkPrivateKey(createPrivateKey(credentials.keyPem))) {
    throw new FleetError("invalid", "the key does not belong to the certificate");
  }
  return { ca: credentials.caPem, cert: credentials.certPem, key: credentials.keyPem };
}

function socketName(socket: Socket): string {
  return formatAddress(socket.remoteAddress ?? "?", socket.remotePort ?? 0);
}
