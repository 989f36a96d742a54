/** Every bound of the node-to-node traffic, in one place. Times in milliseconds, sizes in bytes. */
import { FRAGMENT_BYTES, MAX_FRAME_BYTES } from "./frame.ts";
import type { PeerRole } from "./types.ts";

/** ALPN name; a peer that speaks another version fails in the handshake, not in the middle. */
export const PROTOCOL = "fleet/1";
/** The name in every manager's certificate; addresses change, so they are not in there. */
export const MANAGER_SERVER_NAME = "swarm-manager";

/** What a stream may send before the receiver has granted anything. */
export const INITIAL_WINDOW_BYTES = 64 * 1024;
/** Counted against the window on top of each piece's bytes: what holding a message costs the receiver. */
export const FRAME_COST_BYTES = 128;
/** A piece smaller than this waits for more window unless it is the message's last. */
export const MIN_FRAGMENT_BYTES = 4096;
/** Outgoing bytes above which streams wait; frames of the connection itself still pass. */
export const OUT_HIGH_WATER_BYTES = 512 * 1024;
/** Outgoing bytes above which the peer does not read and the connection is given up. */
export const OUT_LIMIT_BYTES = 16 * 1024 * 1024;
/** Messages of one stream whose `send` was not awaited. */
export const MAX_PENDING_SENDS = 1024;
export const MAX_ROUTE_CHARS = 128;

export const CONNECT_TIMEOUT_MS = 5_000;
export const CALL_TIMEOUT_MS = 10_000;
/** From accepted TCP connection to finished TLS handshake. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;
/** From the handshake to the first frame. */
export const FIRST_FRAME_TIMEOUT_MS = 10_000;
/** From the first byte of a frame to its last, and from a unary Open to the end of its body. */
export const FRAME_TIMEOUT_MS = 30_000;
/** How often a connection looks at its deadlines. */
export const CONNECTION_TICK_MS = 2_500;
/** Silence after which a ping is sent. */
export const PING_AFTER_MS = 5_000;
/** Silence after which the peer counts as gone. */
export const IDLE_TIMEOUT_MS = 15_000;
/** A caller without certificate is here to join; no longer than this. */
export const ANONYMOUS_LIFETIME_MS = 120_000;
/** How long a closing connection may take to write its last words. */
export const LINGER_MS = 1_000;

export const MAX_HALF_OPEN = 512;
export const MAX_HALF_OPEN_PER_SOURCE = 128;
export const MAX_ANONYMOUS = 256;
export const MAX_ANONYMOUS_PER_SOURCE = 64;
export const MAX_CONNECTIONS = 16_384;
/** Connections that one node may hold at a time; the oldest goes first. */
export const MAX_CONNECTIONS_PER_NODE = 64;

/** What one connection may cost us. */
export interface ConnectionLimits {
  /** Streams that the peer has open, and handlers that still run for it. */
  readonly maxStreams: number;
  /** What a stream may hold unread. */
  readonly windowBytes: number;
  readonly maxMessageBytes: number;
  /** All unread bytes of the connection; a stream that would exceed it fails. */
  readonly maxBufferedBytes: number;
  readonly maxFrameBytes: number;
  /** Longest JSON of an Open frame. */
  readonly maxOpenBytes: number;
  readonly lifetimeMs: number;
}

const MIB = 1024 * 1024;

/** The less a peer has proven, the less it may cost. */
export const LIMITS: Readonly<Record<PeerRole, ConnectionLimits>> = {
  manager: {
    maxStreams: 512,
    windowBytes: 256 * 1024,
    maxMessageBytes: 32 * MIB,
    maxBufferedBytes: 128 * MIB,
    maxFrameBytes: MAX_FRAME_BYTES,
    maxOpenBytes: 64 * 1024,
    lifetimeMs: Infinity,
  },
  worker: {
    maxStreams: 128,
    windowBytes: 256 * 1024,
    maxMessageBytes: 8 * MIB,
    maxBufferedBytes: 32 * MIB,
    maxFrameBytes: MAX_FRAME_BYTES,
    maxOpenBytes: 64 * 1024,
    lifetimeMs: Infinity,
  },
  anonymous: {
    maxStreams: 4,
    windowBytes: INITIAL_WINDOW_BYTES,
    maxMessageBytes: 64 * 1024,
    maxBufferedBytes: 4 * INITIAL_WINDOW_BYTES,
    maxFrameBytes: FRAGMENT_BYTES,
    maxOpenBytes: 4096,
    lifetimeMs: ANONYMOUS_LIFETIME_MS,
  },
};
