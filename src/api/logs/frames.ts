import { FleetError, messageOf } from "../../base/errors.ts";

/** Docker's framing of two streams in one: a byte for the stream, three zeros, the length, big-endian. */
export const HEAD_BYTES = 8;
/** The engine cuts messages at 16 KiB; a frame much longer than that is none. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** Frames that are taken apart at once. */
const MAX_BATCH = 256;

export const STDOUT = 1;
export const STDERR = 2;
/** What the server itself has to say; clients show it as an error. */
export const SYSTEM = 3;

export interface LogFrame {
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** The same bytes in pieces that end where a frame ends. @throws FleetError invalid for what is no frame */
export async function* wholeFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of body) {
    const bytes = rest.length === 0 ? chunk : joined(rest, chunk);
    let at = 0;
    for (;;) {
      const next = frameEnd(bytes, at);
      if (next === undefined) break;
      at = next;
    }
    // A copy, so that the chunk can go.
    rest = bytes.slice(at);
    if (at > 0) yield bytes.subarray(0, at);
  }
}

/** A framed log as it is. What ends it before its end is told in a frame of its own. */
export async function* withReason(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* wholeFrames(body);
  } catch (error) {
    yield frame(SYSTEM, new TextEncoder().encode(`Error grabbing logs: ${messageOf(error)}\n`));
  }
}

/** Frames, however the bytes are cut: what has come, a few at a time. @throws FleetError invalid for what is no frame */
export async function* readFrames(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly LogFrame[]> {
  for await (const bytes of wholeFrames(body)) {
    let frames: LogFrame[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = frameEnd(bytes, at)!;
      frames.push({ stream: bytes[at]!, payload: bytes.subarray(at + HEAD_BYTES, end) });
      at = end;
      if (frames.length === MAX_BATCH) {
        yield frames;
        frames = [];
      }
    }
    if (frames.length > 0) yield frames;
  }
}

/** Where the frame at `at` ends; undefined when not all of it is there. */
function frameEnd(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length - at < HEAD_BYTES) return undefined;
  const length = bytes[at + 4]! * 2 ** 24 + (bytes[at + 5]! << 16) + (bytes[at + 6]! << 8) +
    bytes[at + 7]!;
  if (length > MAX_FRAME_BYTES) throw new FleetError("invalid", "a log frame is too long");
  const end = at + HEAD_BYTES + length;
  return end <= bytes.length ? end : undefined;
}

export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

export function frame(stream: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + payload.length);
  writeHead(bytes, 0, stream, payload.length);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** Writes the head of a frame to `bytes`, which has zeros there. */
export function writeHead(bytes: Uint8Array, at: number, stream: number, length: number): void {
  bytes[at] = stream;
  bytes[at + 4] = length >>> 24;
  bytes[at + 5] = length >>> 16;
  bytes[at + 6] = length >>> 8;
  bytes[at + 7] = length;
}
