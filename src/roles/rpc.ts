import type { ErrorKind } from "../base/errors.ts";

/** The part of the traffic between nodes that roles use; `src/adapters/rpc` implements it. */

export type Peer =
  | { readonly role: "manager" | "worker"; readonly nodeId: string; readonly clusterId: string }
  | { readonly role: "anonymous" };

export interface RpcContext {
  readonly route: string;
  readonly peer: Peer;
  readonly remoteAddress: string;
  readonly signal: AbortSignal;
}

export interface RpcStream extends AsyncIterable<unknown> {
  readonly meta: unknown;
  readonly peer: Peer;
  readonly signal: AbortSignal;
  /** Resolves when the peer's window has taken the message. */
  send(message: unknown): Promise<void>;
  /** Writes what was sent now; whether everything has left. */
  flush(): boolean;
  end(): Promise<void>;
  cancel(reason?: string, kind?: ErrorKind): void;
}

export interface RpcCaller {
  readonly peer: Peer;
  readonly address: string;
  readonly closed: AbortSignal;
  call(
    route: string,
    body: unknown,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<unknown>;
  open(route: string, meta?: unknown, options?: { signal?: AbortSignal }): RpcStream;
  close(): void;
}

export interface RpcDialer {
  connect(
    address: string,
    options?: { signal?: AbortSignal; timeoutMs?: number; expectNodeId?: string },
  ): Promise<RpcCaller>;
}

export interface RouteTable {
  route(
    name: string,
    options: { readonly roles: readonly Peer["role"][] },
    handler: (body: unknown, context: RpcContext) => Promise<unknown>,
  ): void;
  streamRoute(
    name: string,
    options: { readonly roles: readonly Peer["role"][] },
    handler: (stream: RpcStream, context: RpcContext) => Promise<void>,
  ): void;
}
