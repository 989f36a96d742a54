/**
 * The symmetrical multiplexer: streams, pings and farewells over one byte channel. Either side may open
 * streams; the dialler uses odd ids, the acceptor even ones. Knows nothing of TLS or routes.
 */
import type { Clock } from "../../base/clock.ts";
import { type ErrorKind, FleetError } from "../../base/errors.ts";
import { appendFrame, FrameDecoder, FrameKind, type FrameSink, getU32, putU32 } from "./frame.ts";
import { GrowBuffer } from "./grow_buffer.ts";
import * as bound from "./limits.ts";
import { MuxStream, type StreamHost } from "./stream.ts";
import type { Peer } from "./types.ts";
import { decodeError, encodeError } from "./wire_error.ts";

/** The byte pipe under a connection; `socket_channel.ts` makes one of a TLS socket. */
export interface Channel {
  /** False: the socket is full, wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Bytes written that the system has not taken yet. */
  readonly backlogBytes: number;
  /** Sends what is written, then ends. */
  end(): void;
  destroy(): void;
  start(events: ChannelEvents): void;
}

export interface ChannelEvents {
  onData(chunk: Uint8Array): void;
  onDrain(): void;
  /** Once. `error` when it was no orderly end. */
  onClose(error: Error | undefined): void;
}

export interface ConnectionOptions {
  readonly channel: Channel;
  readonly dialler: boolean;
  readonly peer: Peer;
  /** For messages: how a person knows the other end, such as `manager 10.0.0.1:2377`. */
  readonly peerLabel: string;
  readonly limits: bound.ConnectionLimits;
  readonly clock: Clock;
  /**
   * Serves a stream that the peer opened and resolves when its handler has ended; until then the
   * stream counts against the limit even if the peer has long cancelled it. Never rejects.
   */
  readonly serve?: (stream: MuxStream, route: string) => Promise<void>;
  readonly onClosed?: (reason: FleetError) => void;
}

interface Opening {
  readonly route: string;
  readonly meta: unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const FLUSHED_CAPACITY = 4096;
const PING_PAYLOAD = new Uint8Array(8);

export class Connection implements StreamHost, FrameSink, ChannelEvents {
  readonly peer: Peer;
  readonly limits: bound.ConnectionLimits;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #decoder: FrameDecoder;
  readonly #streams = new Map<number, MuxStream>();
  readonly #closed = new AbortController();
  readonly #out = new GrowBuffer(FLUSHED_CAPACITY);
  #waiting: MuxStream[] = [];
  #flushScheduled = false;
  /** The channel said "full" and has not drained. */
  #blocked = false;
  #nextId: number;
  #lastPeerId: number | undefined;
  #serving = 0;
  #bufferedBytes = 0;
  #farewell: FleetError | undefined;
  readonly #openedAt: number;
  #heardAt: number;
  #midFrameSince: number | undefined;
  #heardAny = false;
  #onPong: (() => void) | undefined;
  #tickedAt: number;
  #cancelTick: () => void = () => {};
  #cancelLinger: () => void = () => {};

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.peer = options.peer;
    this.limits = options.limits;
    this.#clock = options.clock;
    this.#decoder = new FrameDecoder(options.limits.maxFrameBytes);
    this.#nextId = options.dialler ? 1 : 2;
    this.#openedAt = this.#heardAt = this.#tickedAt = this.#clock.monotonic();
    this.#scheduleTick();
    options.channel.start(this);
  }

  /** Aborts when the connection is over; the reason is a FleetError. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Handlers that run for the peer, among them those of streams that are already over. */
  get serving(): number {
    return this.#serving;
  }

  /** Opens a stream. @throws FleetError when the connection is over or the route name too long */
  open(route: string, meta?: unknown): MuxStream {
    const reason = this.#overReason();
    if (reason) throw new FleetError(reason.kind, reason.message);
    const payload = encoder.encode(JSON.stringify({ r: route, m: meta }));
    if (payload.length > this.limits.maxOpenBytes || route.length > bound.MAX_ROUTE_CHARS) {
      throw new FleetError("invalid", `the opening of stream ${route.slice(0, 40)} is too long`);
    }
    const stream = new MuxStream(this, this.#takeId(), meta, false);
    this.#streams.set(stream.id, stream);
    this.write(FrameKind.Open, stream.id, payload);
    return stream;
  }

  /** Ids wrap after days of thousands of calls per second; 0 is the connection itself. */
  #takeId(): number {
    while (this.#streams.has(this.#nextId)) this.#nextId = (this.#nextId + 2) >>> 0 || 2;
    const id = this.#nextId;
    this.#nextId = (id + 2) >>> 0 || 2;
    return id;
  }

  /** Resolves when the peer has answered a ping: it has let us in. Rejects when it has not. */
  answered(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#farewell) return reject(this.#farewell);
      const onClosed = () => reject(this.#farewell);
      this.closed.addEventListener("abort", onClosed, { once: true });
      this.#onPong = () => {
        this.closed.removeEventListener("abort", onClosed);
        resolve();
      };
      this.write(FrameKind.Ping, 0, PING_PAYLOAD);
    });
  }

  /** Tells the peer why, fails all streams at once, and ends the connection when that is written. */
  close(kind: ErrorKind, message: string): void {
    if (this.#overReason()) return;
    const error = new FleetError(kind, message);
    appendFrame(this.#out, FrameKind.GoAway, 0, encodeError(error));
    this.#blocked = false; // last words are written even behind a full socket
    this.flush();
    this.#farewell = error;
    this.#cancelTick();
    this.#failStreams(error);
    this.#options.channel.end();
    this.#cancelLinger = this.#clock.after(
      bound.LINGER_MS,
      () => this.#options.channel.destroy(),
    );
    this.#finish(error);
  }

  /** Ends the connection without a word. */
  destroy(reason: FleetError): void {
    if (this.#overReason()) return this.#options.channel.destroy();
    this.#farewell = reason;
    this.#cancelTick();
    this.#failStreams(reason);
    this.#options.channel.destroy();
    this.#finish(reason);
  }

  #overReason(): FleetError | undefined {
    return this.#farewell;
  }

  #finish(reason: FleetError): void {
    this.#closed.abort(reason);
    this.#options.onClosed?.(reason);
  }

  #failStreams(error: FleetError): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#waiting = [];
    for (const stream of streams) stream.fail(error);
  }

  // --- channel events ---

  onData(chunk: Uint8Array): void {
    if (this.#farewell) return;
    this.#heardAt = this.#clock.monotonic();
    this.#heardAny = true;
    const fault = this.#decoder.push(chunk, this);
    if (fault !== undefined) return this.#protocolError(fault);
    if (!this.#decoder.midFrame) this.#midFrameSince = undefined;
    else this.#midFrameSince ??= this.#heardAt;
  }

  onDrain(): void {
    this.#blocked = false;
    this.flush();
    this.#resumeWaiting();
  }

  onClose(error: Error | undefined): void {
    this.#cancelLinger();
    const how = error ? `: ${error.message}` : "";
    this.destroy(
      new FleetError("unavailable", `connection to ${this.#options.peerLabel} closed${how}`),
    );
  }

  #protocolError(fault: string): void {
    this.close("invalid", `protocol error by ${this.#options.peerLabel}: ${fault}`);
  }

  // --- frames in ---

  frame(kind: FrameKind, id: number, payload: Uint8Array): boolean {
    const fault = this.#handle(kind, id, payload);
    if (fault !== undefined) this.#protocolError(fault);
    return this.#farewell === undefined;
  }

  #handle(kind: FrameKind, id: number, payload: Uint8Array): string | undefined {
    switch (kind) {
      case FrameKind.Ping:
        return void this.write(FrameKind.Pong, 0, payload);
      case FrameKind.Pong:
        this.#onPong?.();
        this.#onPong = undefined;
        return undefined;
      case FrameKind.GoAway:
        return void this.destroy(decodeError(payload));
      case FrameKind.Open:
        return this.#accept(id, payload);
    }
    const stream = this.#streams.get(id);
    // What was under way when a stream ended here is late, not wrong.
    if (!stream) return this.#wasOpen(id) ? undefined : `frame kind ${kind} on idle stream ${id}`;
    switch (kind) {
      case FrameKind.Window:
        return void stream.onWindow(getU32(payload, 0));
      case FrameKind.End:
        return void stream.onEnd(false);
      case FrameKind.Close:
        return void stream.onEnd(true);
      case FrameKind.Error:
        return void stream.fail(decodeError(payload));
      default:
        return stream.onPiece(kind, payload);
    }
  }

  #accept(id: number, payload: Uint8Array): string | undefined {
    const peerIsOdd = !this.#options.dialler;
    if ((id % 2 === 1) !== peerIsOdd) return `stream ${id} opened with our own number`;
    const used = this.#lastPeerId !== undefined && !isAfter(id, this.#lastPeerId);
    if (used || this.#streams.has(id)) {
      return `stream ${id} opened after ${this.#lastPeerId}`;
    }
    this.#lastPeerId = id;
    if (payload.length > this.limits.maxOpenBytes) return `opening of ${payload.length} bytes`;
    const opening = parseOpening(payload);
    if (typeof opening === "string") return opening;
    const serve = this.#options.serve;
    if (!serve) {
      const error = new FleetError("unimplemented", "this side serves nothing on this connection");
      return void this.writeError(id, error);
    }
    if (this.#serving >= this.limits.maxStreams) {
      const error = new FleetError(
        "unavailable",
        `more than ${this.limits.maxStreams} requests at a time on one connection`,
      );
      return void this.writeError(id, error);
    }
    const stream = new MuxStream(this, id, opening.meta, true);
    this.#streams.set(id, stream);
    this.#serving++;
    void serve(stream, opening.route).finally(() => {
      this.#serving--;
    });
    return undefined;
  }

  #wasOpen(id: number): boolean {
    const ours = (id % 2 === 1) === this.#options.dialler;
    if (ours) return isAfter(this.#nextId, id);
    return this.#lastPeerId !== undefined &&
      (id === this.#lastPeerId || isAfter(this.#lastPeerId, id));
  }

  // --- frames out ---

  get writable(): boolean {
    return !this.#blocked && this.#backlog() < bound.OUT_HIGH_WATER_BYTES;
  }

  #backlog(): number {
    return this.#out.length + this.#options.channel.backlogBytes;
  }

  waitWritable(stream: MuxStream): void {
    if (!this.#waiting.includes(stream)) this.#waiting.push(stream);
    this.#scheduleFlush();
  }

  write(kind: FrameKind, streamId: number, payload: Uint8Array): void {
    if (this.#farewell) return;
    appendFrame(this.#out, kind, streamId, payload);
    if (this.#backlog() > bound.OUT_LIMIT_BYTES) {
      return this.destroy(
        new FleetError("unavailable", `${this.#options.peerLabel} does not read its answers`),
      );
    }
    this.#scheduleFlush();
  }

  writeWindow(streamId: number, grant: number): void {
    const payload = new Uint8Array(4);
    putU32(payload, 0, grant);
    this.write(FrameKind.Window, streamId, payload);
  }

  writeError(streamId: number, error: FleetError): void {
    this.write(FrameKind.Error, streamId, encodeError(error));
  }

  buffer(delta: number): boolean {
    if (delta > 0 && this.#bufferedBytes + delta > this.limits.maxBufferedBytes) return false;
    this.#bufferedBytes += delta;
    return true;
  }

  finished(stream: MuxStream): void {
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
  }

  /** All frames of one turn of the event loop leave in one write. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#blocked) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.flush();
      this.#resumeWaiting();
    });
  }

  flush(): void {
    if (this.#out.length === 0 || this.#blocked || this.#farewell) return;
    this.#blocked = !this.#options.channel.write(this.#out.take());
  }

  #resumeWaiting(): void {
    if (this.#waiting.length === 0 || !this.writable) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const stream of waiting) stream.resume();
  }

  // --- time ---

  #scheduleTick(): void {
    this.#cancelTick = this.#clock.after(bound.CONNECTION_TICK_MS, () => {
      this.#tick();
      if (!this.#farewell) this.#scheduleTick();
    });
  }

  #tick(): void {
    const now = this.#clock.monotonic();
    // If we ourselves were held up, what the peer sent meanwhile is still unread: judge next time.
    const late = now - this.#tickedAt >= 2 * bound.CONNECTION_TICK_MS;
    this.#tickedAt = now;
    if (late) return this.write(FrameKind.Ping, 0, PING_PAYLOAD);
    const silence = now - this.#heardAt;
    const label = this.#options.peerLabel;
    if (!this.#options.dialler && !this.#heardAny && silence >= bound.FIRST_FRAME_TIMEOUT_MS) {
      return this.close("timeout", `${label} sent nothing after the handshake`);
    }
    if (silence >= bound.IDLE_TIMEOUT_MS) {
      const error = new FleetError("unavailable", `${label} has been silent for ${silence} ms`);
      return this.destroy(error);
    }
    if (this.#midFrameSince !== undefined && now - this.#midFrameSince >= bound.FRAME_TIMEOUT_MS) {
      return this.close("timeout", `${label} did not finish a frame`);
    }
    if (now - this.#openedAt >= this.limits.lifetimeMs) {
      return this.close("timeout", "the time for a caller without certificate is over");
    }
    if (silence >= bound.PING_AFTER_MS) this.write(FrameKind.Ping, 0, PING_PAYLOAD);
  }
}

/** Serial number arithmetic (RFC 1982) on u32: whether `a` comes after `b`. */
function isAfter(a: number, b: number): boolean {
  const distance = (a - b) >>> 0;
  return distance !== 0 && distance < 0x80000000;
}

function parseOpening(payload: Uint8Array): Opening | string {
  try {
    const value: unknown = JSON.parse(decoder.decode(payload));
    if (typeof value === "object" && value !== null && "r" in value) {
      const route = value.r;
      if (typeof route === "string" && route.length <= bound.MAX_ROUTE_CHARS) {
        return { route, meta: "m" in value ? value.m : undefined };
      }
    }
  } catch { /* falls through */ }
  return "an opening that cannot be read";
}
