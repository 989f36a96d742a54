/** One stream of a connection: ordered messages both ways, each direction with its own window. */
import { type ErrorKind, FleetError, messageOf } from "../../base/errors.ts";
import { FRAGMENT_BYTES, FrameKind } from "./frame.ts";
import { GrowBuffer } from "./grow_buffer.ts";
import {
  type ConnectionLimits,
  FRAME_COST_BYTES,
  INITIAL_WINDOW_BYTES,
  MAX_PENDING_SENDS,
  MIN_FRAGMENT_BYTES,
} from "./limits.ts";
import type { Peer, RpcStream } from "./types.ts";

/** What a stream needs from its connection. */
export interface StreamHost {
  readonly peer: Peer;
  readonly limits: ConnectionLimits;
  /** False while the socket has enough to do. */
  readonly writable: boolean;
  /** Calls `stream.resume()` once when the socket takes more. */
  waitWritable(stream: MuxStream): void;
  write(kind: FrameKind, streamId: number, payload: Uint8Array): void;
  writeWindow(streamId: number, grant: number): void;
  writeError(streamId: number, error: FleetError): void;
  /** Hands to the socket what was written in this turn. */
  flush(): void;
  /** Adds to the connection's unread bytes; false when they would exceed its limit. */
  buffer(delta: number): boolean;
  /** The stream is over in both directions. */
  finished(stream: MuxStream): void;
}

interface Outgoing {
  readonly kind: "bytes" | "json" | "end";
  readonly bytes: Uint8Array;
  offset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Incoming {
  readonly json: boolean;
  readonly bytes: Uint8Array;
  readonly cost: number;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

const EMPTY = new Uint8Array(0);
const DONE: IteratorResult<unknown, undefined> = { done: true, value: undefined };
const FINISHED = "the other side has finished the stream";
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export class MuxStream implements RpcStream {
  readonly #host: StreamHost;
  readonly #outgoing: Outgoing[] = [];
  readonly #incoming: Incoming[] = [];
  readonly #partial = new GrowBuffer(1024);
  #partialJson = false;
  #partialOpen = false;
  #partialCost = 0;
  #queuedCost = 0;
  /** What the peer still lets us send. */
  #credit = INITIAL_WINDOW_BYTES;
  /** What we still let the peer send. */
  #granted = INITIAL_WINDOW_BYTES;
  #window = INITIAL_WINDOW_BYTES;
  #waiter: Waiter | undefined;
  #localEnded = false;
  #remoteEnded = false;
  #closedByPeer = false;
  /** Nobody reads any more; pieces are dropped and their window given back. */
  #discarding = false;
  /** Called once when both directions are over. */
  onOver: (() => void) | undefined;
  #failure: FleetError | undefined;
  #controller: AbortController | undefined;

  /** @param served whether the peer opened it */
  constructor(
    host: StreamHost,
    readonly id: number,
    readonly meta: unknown,
    readonly served: boolean,
  ) {
    this.#host = host;
  }

  get peer(): Peer {
    return this.#host.peer;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#failure) this.#controller.abort(this.#failure);
    }
    return this.#controller.signal;
  }

  get over(): boolean {
    return this.#failure !== undefined ||
      (this.#localEnded && this.#remoteEnded && this.#outgoing.length === 0);
  }

  /** Why the stream died, if it did. */
  get failure(): FleetError | undefined {
    return this.#failure;
  }

  /** Whether the peer has sent everything it will. */
  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  // --- sending ---

  send(message: unknown): Promise<void> {
    if (message instanceof Uint8Array) return this.#enqueue("bytes", message);
    let text: string | undefined;
    try {
      text = JSON.stringify(message);
    } catch (error) {
      return Promise.reject(new FleetError("invalid", `cannot send: ${messageOf(error)}`));
    }
    return this.#enqueue("json", encoder.encode(text ?? "null"));
  }

  flush(): boolean {
    this.#host.flush();
    return this.#outgoing.length === 0;
  }

  end(): Promise<void> {
    return this.#localEnded || this.#failure ? Promise.resolve() : this.#enqueue("end", EMPTY);
  }

  #enqueue(kind: Outgoing["kind"], bytes: Uint8Array): Promise<void> {
    const refusal = this.#refusal(bytes.length);
    if (refusal) return Promise.reject(refusal);
    if (kind === "end") this.#localEnded = true;
    return new Promise((resolve, reject) => {
      this.#outgoing.push({ kind, bytes, offset: 0, resolve, reject });
      if (this.#outgoing.length === 1) this.resume();
    });
  }

  #refusal(length: number): FleetError | undefined {
    if (this.#failure) return this.#failure;
    if (this.#closedByPeer) return new FleetError("canceled", FINISHED);
    if (this.#localEnded) return new FleetError("canceled", "this side of the stream has ended");
    if (length > this.#host.limits.maxMessageBytes) {
      return new FleetError(
        "invalid",
        `message of ${length} bytes, at most ${this.#host.limits.maxMessageBytes} can be sent`,
      );
    }
    if (this.#outgoing.length >= MAX_PENDING_SENDS) {
      return new FleetError(
        "unavailable",
        `${MAX_PENDING_SENDS} messages wait to be sent on one stream`,
      );
    }
    return undefined;
  }

  /** Sends what window and socket allow. */
  resume(): void {
    for (let item = this.#outgoing[0]; item; item = this.#outgoing[0]) {
      if (this.#failure) return;
      if (!this.#host.writable) return this.#host.waitWritable(this);
      if (item.kind === "end") {
        const both = this.#discarding && !this.#remoteEnded;
        this.#host.write(both ? FrameKind.Close : FrameKind.End, this.id, EMPTY);
        if (both) this.#remoteEnded = true;
      } else if (!this.#sendPiece(item)) return;
      if (item.offset < item.bytes.length) continue;
      this.#outgoing.shift();
      item.resolve();
    }
    this.#settle();
  }

  #sendPiece(item: Outgoing): boolean {
    const remaining = item.bytes.length - item.offset;
    const n = Math.min(remaining, FRAGMENT_BYTES, this.#credit - FRAME_COST_BYTES);
    if (n < remaining && n < MIN_FRAGMENT_BYTES) return false;
    const piece = item.bytes.subarray(item.offset, item.offset + n);
    item.offset += n;
    this.#credit -= n + FRAME_COST_BYTES;
    const last = item.offset === item.bytes.length;
    const kind = item.kind === "json"
      ? (last ? FrameKind.Json : FrameKind.JsonMore)
      : (last ? FrameKind.Bytes : FrameKind.BytesMore);
    this.#host.write(kind, this.id, piece);
    return true;
  }

  cancel(reason = "cancelled by the other side", kind: ErrorKind = "canceled"): void {
    this.abort(new FleetError(kind, reason));
  }

  /** Fails the stream here and tells the peer. */
  abort(error: FleetError): void {
    if (this.over) return this.#dropIncoming();
    this.#host.writeError(this.id, error);
    this.fail(error);
    this.#dropIncoming();
  }

  /**
   * Ends both directions without a failure, once what was sent has gone out. What the peer still sends
   * is dropped.
   */
  closeBoth(): void {
    this.#discard();
    if (!this.over) void this.end().catch(() => {});
  }

  /** Nobody reads on. */
  #discard(): void {
    this.#discarding = true;
    this.#dropIncoming();
    this.#grant();
  }

  // --- receiving ---

  /** Lets the peer send more than the initial window. For streams; unary bodies rarely need it. */
  widen(): void {
    this.#window = this.#host.limits.windowBytes;
    this.#grant();
  }

  onWindow(grant: number): void {
    this.#credit = Math.min(this.#credit + grant, 0xffffffff);
    this.resume();
  }

  /** Takes a piece; returns a sentence when the peer broke the protocol. */
  onPiece(kind: FrameKind, payload: Uint8Array): string | undefined {
    if (this.#remoteEnded) return this.#localEnded ? undefined : "data after the end of a stream";
    const cost = payload.length + FRAME_COST_BYTES;
    if (cost > this.#granted) return `${cost} bytes sent where ${this.#granted} were granted`;
    this.#granted -= cost;
    if (this.#discarding) return void this.#grant();
    const json = kind === FrameKind.Json || kind === FrameKind.JsonMore;
    if (this.#partialOpen && json !== this.#partialJson) return "one message of two kinds";
    if (this.#partial.length + payload.length > this.#host.limits.maxMessageBytes) {
      const max = this.#host.limits.maxMessageBytes;
      return void this.abort(new FleetError("invalid", `a message exceeds ${max} bytes`));
    }
    if (!this.#host.buffer(cost)) {
      return void this.abort(
        new FleetError("unavailable", "too many unread bytes on one connection"),
      );
    }
    this.#partialCost += cost;
    if (kind === FrameKind.BytesMore || kind === FrameKind.JsonMore) {
      this.#partial.append(payload);
      this.#partialJson = json;
      this.#partialOpen = true;
      this.#grant();
      return undefined;
    }
    let bytes: Uint8Array = payload.slice();
    if (this.#partialOpen) {
      this.#partial.append(payload);
      bytes = this.#partial.take();
      this.#partialOpen = false;
    }
    this.#queuedCost += this.#partialCost;
    this.#incoming.push({ json, bytes, cost: this.#partialCost });
    this.#partialCost = 0;
    this.#wake();
    return undefined;
  }

  onEnd(both: boolean): void {
    this.#remoteEnded = true;
    if (both) {
      this.#localEnded = true;
      this.#closedByPeer = true;
      const error = new FleetError("canceled", FINISHED);
      for (const item of this.#outgoing.splice(0)) item.reject(error);
    }
    this.#wake();
    this.#settle();
  }

  /** The stream is dead; what was received before stays readable. */
  fail(error: FleetError): void {
    if (this.over) return;
    this.#failure = error;
    for (const item of this.#outgoing.splice(0)) item.reject(error);
    this.#controller?.abort(error);
    this.#wake();
    this.#finished();
  }

  #finished(): void {
    this.#host.finished(this);
    this.onOver?.();
    this.onOver = undefined;
  }

  #settle(): void {
    if (this.#localEnded && this.#remoteEnded && this.#outgoing.length === 0 && !this.#failure) {
      this.#finished();
    }
  }

  /**
   * Grants what the window has room for. The message that is being assembled counts only behind others
   * that nobody has read, or one larger than the window could never arrive.
   */
  #grant(): void {
    if (this.#remoteEnded || this.#failure) return;
    const held = this.#incoming.length === 0 ? 0 : this.#queuedCost + this.#partialCost;
    const room = this.#window - this.#granted - held;
    if (room < this.#window / 2) return;
    this.#granted += room;
    this.#host.writeWindow(this.id, room);
  }

  #dropIncoming(): void {
    this.#host.buffer(-this.#queuedCost - this.#partialCost);
    this.#incoming.length = 0;
    this.#partial.clear(0);
    this.#partialOpen = false;
    this.#queuedCost = 0;
    this.#partialCost = 0;
  }

  // --- reading ---

  /** The next message. One reader at a time. */
  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#waiter) return Promise.reject(new FleetError("conflict", "the stream has a reader"));
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#wake();
    });
  }

  #wake(): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    const message = this.#incoming.shift();
    if (message) {
      this.#waiter = undefined;
      this.#queuedCost -= message.cost;
      this.#host.buffer(-message.cost);
      this.#grant();
      if (!message.json) return waiter.resolve({ done: false, value: message.bytes });
      try {
        const value: unknown = JSON.parse(decoder.decode(message.bytes));
        waiter.resolve({ done: false, value });
      } catch {
        const error = new FleetError("invalid", "a message is not JSON");
        this.abort(error);
        waiter.reject(error);
      }
    } else if (this.#failure) {
      this.#waiter = undefined;
      this.#dropIncoming();
      waiter.reject(this.#failure);
    } else if (this.#remoteEnded) {
      this.#waiter = undefined;
      waiter.resolve(DONE);
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    return {
      next: () => this.next(),
      return: () => {
        // A handler that leaves because of an error has that error sent; so this must not end it.
        if (!this.served && !this.#remoteEnded) this.cancel("the reader left the stream");
        this.#discard();
        return Promise.resolve(DONE);
      },
    };
  }
}
