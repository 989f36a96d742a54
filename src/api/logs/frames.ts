import { FleetError } from "../../base/errors.ts";

/** Docker's framing of two streams in one: a byte for the stream, three zeros, the length, big-endian. */
const HEAD_BYTES = 8;
/** The engine cuts messages at 16 KiB; a frame much longer than that is none. */
const MAX_FRAME_BYTES = 1024 * 1024;

export const STDOUT = 1;
export const STDERR = 2;
/** What the server itself has to say; clients show it as an error. */
export const SYSTEM = 3;

export interface LogFrame {
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** Frames, however the bytes are cut. @throws FleetError invalid for what is no frame */
export async function* readFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<LogFrame> {
  let rest = new Uint8Array(0);
  for await (const chunk of body) {
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const view = new DataView(bytes.buffer, at);
      const length = view.getUint32(4);
      if (length > MAX_FRAME_BYTES) throw new FleetError("invalid", "a log frame is too long");
      if (bytes.length - at < HEAD_BYTES + length) break;
      const start = at + HEAD_BYTES;
      yield { stream: view.getUint8(0), payload: bytes.slice(start, start + length) };
      at = start + length;
    }
    rest = bytes.slice(at);
  }
}

export function frame(stream: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + payload.length);
  bytes[0] = stream;
  new DataView(bytes.buffer).setUint32(4, payload.length);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}
