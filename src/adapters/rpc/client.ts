/** The calling side: dialling, verification of the server, calls and streams. */
import * as tls from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { FleetError, kindOf, messageOf } from "../../base/errors.ts";
import { parseAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import * as bound from "./limits.ts";
import { identify } from "./peer.ts";
import { socketChannel } from "./socket_channel.ts";
import type {
  CallOptions,
  CredentialsSource,
  DialOptions,
  Peer,
  RpcCaller,
  RpcDialer,
  RpcStream,
} from "./types.ts";

export interface DialerOptions {
  readonly credentials: CredentialsSource;
  /** The server must belong to it. */
  readonly clusterId: string;
  readonly clock: Clock;
}

/** Dials with this node's certificate. */
export function rpcDialer(options: DialerOptions): RpcDialer {
  return {
    connect(address: string, dial: DialOptions = {}): Promise<RpcCaller> {
      const { caPem, certPem, keyPem } = options.credentials.current();
      return connect(address, {
        ...dial,
        clock: options.clock,
        tls: { ca: caPem, cert: certPem, key: keyPem },
        check: (peer) => checkServer(peer, options.clusterId, dial.expectNodeId),
      });
    },
  };
}

export interface AnonymousDialOptions {
  readonly clock: Clock;
  /**
   * The root to verify the server against, or `unverified` for the one call that fetches the root: the
   * caller then checks the digest, and believes nothing else that came over such a connection.
   */
  readonly caPem: string | "unverified";
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** Dials without a certificate, to join. */
export function connectAnonymously(
  address: string,
  options: AnonymousDialOptions,
): Promise<RpcCaller> {
  const { caPem, ...rest } = options;
  return connect(address, {
    ...rest,
    tls: caPem === "unverified" ? { rejectUnauthorized: false } : { ca: caPem },
    check: (peer) => typeof peer !== "string" || caPem === "unverified" ? undefined : peer,
  });
}

interface ConnectOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly tls: { ca?: string; cert?: string; key?: string; rejectUnauthorized?: boolean };
  /** A sentence when the server, identified or not (then a sentence why), is not the right one. */
  readonly check: (peer: Peer | string) => string | undefined;
}

async function connect(address: string, options: ConnectOptions): Promise<RpcCaller> {
  options.signal?.throwIfAborted();
  const { host, port } = parseAddress(address);
  const timeoutMs = options.timeoutMs ?? bound.CONNECT_TIMEOUT_MS;
  const socket = tls.connect({
    host,
    port,
    ...options.tls,
    servername: bound.MANAGER_SERVER_NAME,
    ALPNProtocols: [bound.PROTOCOL],
    minVersion: "TLSv1.3",
  });
  let step = "no TCP connection";
  socket.once("connect", () => step = "TCP connected, the TLS handshake did not finish");
  let connection: Connection | undefined;
  // One failure, whichever comes first; the socket's later errors go to the connection.
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const onSocketError = (error: Error) => failed.reject(dialError(address, error));
  const onSocketClose = () => failed.reject(dialError(address, new Error("closed by the server")));
  const onAbort = () => failed.reject(options.signal?.reason);
  socket.on("error", onSocketError);
  socket.on("close", onSocketClose);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const cancelTimer = options.clock.after(timeoutMs, () => {
    const sentence = `cannot reach manager ${address} within ${timeoutMs / 1000} s: ${step}`;
    failed.reject(new FleetError("timeout", sentence));
  });
  try {
    const secured = new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
    await Promise.race([secured, failed.promise]);
    const peer = serverIdentity(socket, address, options);
    step = "the TLS handshake finished, the manager does not answer";
    connection = new Connection({
      channel: socketChannel(socket),
      dialler: true,
      peer,
      peerLabel: `manager ${address}`,
      limits: bound.LIMITS.manager,
      clock: options.clock,
    });
    socket.off("close", onSocketClose);
    await Promise.race([connection.answered(), failed.promise]);
    return new RpcClient(connection, address, options.clock);
  } catch (error) {
    connection?.destroy(new FleetError("canceled", "the dialling side gave up"));
    socket.destroy();
    throw error;
  } finally {
    cancelTimer();
    options.signal?.removeEventListener("abort", onAbort);
    // Keep an error listener: a socket error without one would end the process.
    if (!connection) socket.on("error", () => {});
  }
}

function serverIdentity(socket: tls.TLSSocket, address: string, options: ConnectOptions): Peer {
  if (socket.alpnProtocol !== bound.PROTOCOL) {
    throw new FleetError(
      "unavailable",
      `${address} answers, but does not speak ${bound.PROTOCOL}: not fleet, or another version`,
    );
  }
  const identity = identify(socket.getPeerCertificate(), options.clock.now());
  const fault = options.check(identity);
  if (fault !== undefined) {
    throw new FleetError("unauthorized", `manager ${address} cannot be trusted: ${fault}`);
  }
  return typeof identity === "string" ? { role: "anonymous" } : identity;
}

function checkServer(
  peer: Peer | string,
  clusterId: string,
  expectNodeId: string | undefined,
): string | undefined {
  if (typeof peer === "string") return peer;
  if (peer.role !== "manager") return "its certificate is not that of a manager";
  if (peer.clusterId !== clusterId) return `it belongs to another cluster (${peer.clusterId})`;
  if (expectNodeId !== undefined && peer.nodeId !== expectNodeId) {
    return `it is node ${peer.nodeId}, not ${expectNodeId}`;
  }
  return undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "connection timed out",
  ECONNRESET: "connection reset",
  ENOTFOUND: "unknown host name",
};

function dialError(address: string, error: Error & { code?: string }): FleetError {
  const code = error.code ?? "";
  if (/^(CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code)) {
    return new FleetError(
      "unauthorized",
      `manager ${address} cannot be trusted: ${error.message}`,
      { cause: error },
    );
  }
  const why = REASONS[code] ?? error.message;
  return new FleetError("unavailable", `cannot reach manager ${address}: ${why}`, { cause: error });
}

class RpcClient implements RpcCaller {
  constructor(
    readonly connection: Connection,
    readonly address: string,
    readonly clock: Clock,
  ) {}

  get peer(): Peer {
    return this.connection.peer;
  }

  get closed(): AbortSignal {
    return this.connection.closed;
  }

  async call(route: string, body: unknown, options: CallOptions = {}): Promise<unknown> {
    options.signal?.throwIfAborted();
    const stream = this.connection.open(route);
    const timeoutMs = options.timeoutMs ?? bound.CALL_TIMEOUT_MS;
    const cancelTimer = this.clock.after(timeoutMs, () => {
      const sentence = `manager ${this.address} did not answer ${route} within ${timeoutMs} ms`;
      stream.cancel(sentence, "timeout");
    });
    const onAbort = () => stream.cancel(...cancelWords(options.signal));
    options.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      // A failed send shows on the answer too.
      if (body !== undefined) stream.send(body).catch((error) => failStream(stream, error));
      stream.end().catch(() => {});
      const answer = await stream.next();
      return answer.done ? undefined : answer.value;
    } catch (error) {
      throw options.signal?.aborted ? options.signal.reason : error;
    } finally {
      cancelTimer();
      options.signal?.removeEventListener("abort", onAbort);
      stream.closeBoth();
    }
  }

  open(route: string, meta?: unknown, options: { signal?: AbortSignal } = {}): RpcStream {
    options.signal?.throwIfAborted();
    const stream = this.connection.open(route, meta);
    stream.widen();
    const { signal } = options;
    if (signal) {
      const onAbort = () => stream.cancel(...cancelWords(signal));
      signal.addEventListener("abort", onAbort, { once: true });
      stream.onOver = () => signal.removeEventListener("abort", onAbort);
    }
    return stream;
  }

  close(): void {
    this.connection.close("canceled", "the calling side closed the connection");
  }
}

function failStream(stream: { cancel: RpcStream["cancel"] }, error: unknown): void {
  stream.cancel(messageOf(error), kindOf(error));
}

function cancelWords(signal: AbortSignal | undefined): [string, ReturnType<typeof kindOf>] {
  const kind = kindOf(signal?.reason);
  return [messageOf(signal?.reason), kind === "internal" ? "canceled" : kind];
}
