/**
 * The unit on the wire: u32 payload length, u8 kind, u32 stream id (both big-endian), payload. Pure
 * bytes in and out; what the kinds mean is in `connection.ts`.
 */
import { GrowBuffer } from "./grow_buffer.ts";

/** Largest payload of any frame. Senders cut messages into {@link FRAGMENT_BYTES}. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;
/** Largest payload that this implementation sends; small enough that a ping is not stuck behind it. */
export const FRAGMENT_BYTES = 64 * 1024;
export const FRAME_HEADER_BYTES = 9;

export const FrameKind = {
  /** JSON `{r: route, m: meta}`: opens the stream. */
  Open: 1,
  /** The last (or only) piece of a binary message. */
  Bytes: 2,
  /** A piece of a binary message, more follow. */
  BytesMore: 3,
  Json: 4,
  JsonMore: 5,
  /** No more messages from the sender of this frame. */
  End: 6,
  /** As End, and the sender reads no more either. */
  Close: 7,
  /** JSON `{k: kind, m: sentence}`: the stream failed or was cancelled, both directions are over. */
  Error: 8,
  /** u32: so many more bytes may be sent on the stream. */
  Window: 9,
  /** 8 bytes that come back in a Pong. Stream id 0. */
  Ping: 10,
  Pong: 11,
  /** JSON `{k: kind, m: sentence}`: the sender ends the connection, and why. Stream id 0. */
  GoAway: 12,
} as const;

export type FrameKind = typeof FrameKind[keyof typeof FrameKind];

const LAST_KIND = FrameKind.GoAway;
/** Longest JSON of Open, Error and GoAway. */
export const MAX_CONTROL_BYTES = 64 * 1024;

export interface FrameSink {
  /** `payload` is a view that is valid only during the call. Returning false stops the decoder. */
  frame(kind: FrameKind, streamId: number, payload: Uint8Array): boolean;
}

/** Writes one frame behind what `out` already holds. */
export function appendFrame(
  out: GrowBuffer,
  kind: FrameKind,
  streamId: number,
  payload: Uint8Array,
): void {
  const start = out.reserve(FRAME_HEADER_BYTES + payload.length);
  const to = out.buffer;
  putU32(to, start, payload.length);
  to[start + 4] = kind;
  putU32(to, start + 5, streamId);
  to.set(payload, start + FRAME_HEADER_BYTES);
}

export function putU32(to: Uint8Array, at: number, value: number): void {
  to[at] = value >>> 24;
  to[at + 1] = value >>> 16;
  to[at + 2] = value >>> 8;
  to[at + 3] = value;
}

export function getU32(from: Uint8Array, at: number): number {
  return ((from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!) >>> 0;
}

/** Why a frame with this header cannot be accepted, or undefined. */
function headerFault(
  length: number,
  kind: number,
  id: number,
  maxPayload: number,
): string | undefined {
  if (kind < 1 || kind > LAST_KIND) return `unknown frame kind ${kind}`;
  if (length > maxPayload) return `frame of ${length} bytes, at most ${maxPayload} are accepted`;
  const onConnection = kind === FrameKind.Ping || kind === FrameKind.Pong ||
    kind === FrameKind.GoAway;
  if (onConnection !== (id === 0)) return `frame kind ${kind} on stream ${id}`;
  switch (kind) {
    case FrameKind.Window:
      return length === 4 ? undefined : `window frame of ${length} bytes`;
    case FrameKind.Ping:
    case FrameKind.Pong:
      return length === 8 ? undefined : `ping frame of ${length} bytes`;
    case FrameKind.End:
    case FrameKind.Close:
      return length === 0 ? undefined : `end frame of ${length} bytes`;
    case FrameKind.Open:
    case FrameKind.Error:
    case FrameKind.GoAway:
      return length <= MAX_CONTROL_BYTES ? undefined : `control frame of ${length} bytes`;
    default:
      return undefined;
  }
}

/**
 * Cuts a byte stream back into frames. Never throws on what the peer sends: a fault is returned once
 * and for ever. Holds at most one incomplete frame, and of that only what has arrived.
 */
export class FrameDecoder {
  readonly #partial = new GrowBuffer(4096);
  #fault: string | undefined;

  constructor(readonly maxPayloadBytes: number = MAX_FRAME_BYTES) {}

  /** Whether a frame has begun and is not complete. */
  get midFrame(): boolean {
    return this.#partial.length > 0;
  }

  /** Feeds bytes; returns why the stream cannot be trusted any more, or undefined. */
  push(chunk: Uint8Array, sink: FrameSink): string | undefined {
    if (this.#fault !== undefined) return this.#fault;
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#partial.length > 0) {
        const taken = this.#fillPartial(rest);
        if (this.#fault !== undefined) return this.#fault;
        rest = rest.subarray(taken);
        const whole = this.#partial.buffer.subarray(0, this.#partial.length);
        const end = frameEnd(whole);
        if (end === undefined || whole.length < end) continue;
        const more = deliver(whole, end, sink);
        this.#partial.clear(FRAGMENT_BYTES);
        if (!more) return undefined;
        continue;
      }
      const end = frameEnd(rest);
      if (end !== undefined && (this.#fault = this.#check(rest)) !== undefined) return this.#fault;
      if (end === undefined || rest.length < end) {
        this.#partial.append(rest);
        return undefined;
      }
      const more = deliver(rest, end, sink);
      rest = rest.subarray(end);
      if (!more) return undefined;
    }
    return undefined;
  }

  /** Copies towards a whole header, then towards a whole frame; returns how many bytes it took. */
  #fillPartial(rest: Uint8Array): number {
    const have = this.#partial.length;
    const headerKnown = have >= FRAME_HEADER_BYTES;
    const target = headerKnown
      ? FRAME_HEADER_BYTES + getU32(this.#partial.buffer, 0)
      : FRAME_HEADER_BYTES;
    const take = Math.min(target - have, rest.length);
    this.#partial.append(rest.subarray(0, take));
    if (!headerKnown && this.#partial.length >= FRAME_HEADER_BYTES) {
      this.#fault = this.#check(this.#partial.buffer);
    }
    return take;
  }

  #check(header: Uint8Array): string | undefined {
    return headerFault(getU32(header, 0), header[4]!, getU32(header, 5), this.maxPayloadBytes);
  }
}

function frameEnd(bytes: Uint8Array): number | undefined {
  return bytes.length < FRAME_HEADER_BYTES ? undefined : FRAME_HEADER_BYTES + getU32(bytes, 0);
}

function deliver(bytes: Uint8Array, end: number, sink: FrameSink): boolean {
  const kind = bytes[4] as FrameKind;
  return sink.frame(kind, getU32(bytes, 5), bytes.subarray(FRAME_HEADER_BYTES, end));
}
