/**
 * What the rest of fleet sees of the traffic on TCP 2377. `roles` and `api` may not import adapters:
 * they declare the part of these shapes that they use, and TypeScript's structural types do the rest.
 */
import type { ErrorKind } from "../../base/errors.ts";

/** Who is at the other end, as proven by its verified certificate and by nothing else. */
export type Peer =
  | { readonly role: "manager" | "worker"; readonly nodeId: string; readonly clusterId: string }
  | { readonly role: "anonymous" };

export type PeerRole = Peer["role"];

/** PEM texts. `certPem` is the leaf followed by intermediates, `caPem` one or more roots. */
export interface TlsCredentials {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * Where credentials come from. New handshakes use `current()`; live connections keep what they were
 * opened with. `onChange` returns the function that unsubscribes.
 */
export interface CredentialsSource {
  current(): TlsCredentials;
  onChange(listener: () => void): () => void;
}

/** What a handler knows about its caller. */
export interface RpcContext {
  readonly route: string;
  readonly peer: Peer;
  /** `10.0.0.7:51234`, an IPv6 address in brackets. */
  readonly remoteAddress: string;
  /** Aborts when the caller cancels, the connection ends or the server stops. */
  readonly signal: AbortSignal;
}

/**
 * Answers one JSON body with another. What it throws travels as kind and sentence of a `FleetError`;
 * anything that is not a FleetError is logged here and travels as `internal` without details.
 */
export type UnaryHandler = (body: unknown, context: RpcContext) => Promise<unknown>;

/** Serves one stream. The stream ends when the promise settles; a rejection travels as an error. */
export type StreamHandler = (stream: RpcStream, context: RpcContext) => Promise<void>;

/**
 * Both directions of one stream. Iterating yields the peer's messages in order: a `Uint8Array` for a
 * binary message, the parsed value for a JSON one. The iteration ends at the peer's `end()` and throws
 * the FleetError by which the stream died. Leaving the iteration early cancels the stream for a caller;
 * in a handler the messages that still come are dropped.
 */
export interface RpcStream extends AsyncIterable<unknown> {
  /** The JSON value that the opener passed. */
  readonly meta: unknown;
  readonly peer: Peer;
  /** Aborts (with a FleetError) when the stream failed, was cancelled or its connection ended. */
  readonly signal: AbortSignal;
  /**
   * Sends a `Uint8Array` as it is (not copied: do not change it until the promise settles) and anything
   * else as JSON. Resolves when the peer's window and the socket have taken it: awaiting is the
   * back-pressure.
   */
  send(message: unknown): Promise<void>;
  /**
   * Writes what was sent to the socket now, not at the end of the turn: worth it before work that blocks.
   * Returns whether everything has left.
   */
  flush(): boolean;
  /** No more messages from this side; the other direction stays open. */
  end(): Promise<void>;
  /** Gives up both directions at once; the peer sees `kind` (default `canceled`) and the reason. */
  cancel(reason?: string, kind?: ErrorKind): void;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until `timeout`. Default 10,000 for `call`; none for `open`. */
  readonly timeoutMs?: number;
}

/** One connection seen from the side that calls. */
export interface RpcCaller {
  /** The server as proven by its certificate. */
  readonly peer: Peer;
  /** The address that was dialled. */
  readonly address: string;
  /** Aborts when the connection has ended; the reason is a FleetError that says why. */
  readonly closed: AbortSignal;
  /** @throws FleetError of the handler's kind; unavailable, timeout or canceled for the way there */
  call(route: string, body: unknown, options?: CallOptions): Promise<unknown>;
  /** Opens a stream at once; a refusal arrives on the stream. */
  open(route: string, meta?: unknown, options?: { signal?: AbortSignal }): RpcStream;
  close(): void;
}

export interface RouteOptions {
  /** Who may call. `anonymous` is a caller without a certificate. */
  readonly roles: readonly PeerRole[];
}

/** Where a role registers what it serves. A name can be registered once. */
export interface RouteTable {
  route(name: string, options: RouteOptions, handler: UnaryHandler): void;
  streamRoute(name: string, options: RouteOptions, handler: StreamHandler): void;
}

/** The listening side, once it listens. */
export interface RpcListener {
  /** The bound address, with the real port when 0 was asked for. */
  readonly address: string;
  /** Ends every connection of this node at once, its open streams with `forbidden`. */
  closeConnectionsOf(nodeId: string): void;
  /** Stops accepting and ends all connections. */
  close(): Promise<void>;
}

/** Dials managers. */
export interface RpcDialer {
  /**
   * Connects with this node's certificate and verifies the server's against the root CA and the name
   * `swarm-manager`. @throws FleetError unavailable, timeout, unauthorized; each names the address
   */
  connect(address: string, options?: DialOptions): Promise<RpcCaller>;
}

export interface DialOptions {
  readonly signal?: AbortSignal;
  /** For TCP and TLS together. Default 5,000. */
  readonly timeoutMs?: number;
  /** Refuse the connection unless the server's certificate names this node. */
  readonly expectNodeId?: string;
}
