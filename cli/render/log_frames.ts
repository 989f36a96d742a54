import { FleetError } from "../../src/base/errors.ts";

/** A frame of Docker's multiplexed stream. */
export interface LogFrame {
  readonly stream: "stdout" | "stderr" | "error";
  readonly payload: Uint8Array;
}

const HEADER = 8;
/** Frames hold one read of a log; longer ones are no log. */
const MAX_FRAME = 16 * 1024 * 1024;

/** Cuts a stream of bytes into frames. @throws FleetError internal for what is none */
export async function* readLogFrames(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<LogFrame> {
  for await (const frames of readLogBatches(chunks)) yield* frames;
}

/** The same, as many at a time as have come. */
export async function* readLogBatches(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly LogFrame[]> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : concat(rest, chunk);
    const frames: LogFrame[] = [];
    for (;;) {
      if (rest.length < HEADER) break;
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(4);
      if (length > MAX_FRAME || (rest[0] ?? 0) > 3) {
        throw new FleetError("internal", "the agent's answer is no multiplexed log stream");
      }
      if (rest.length < HEADER + length) break;
      const payload = rest.slice(HEADER, HEADER + length);
      const stream = rest[0] === 3 ? "error" : rest[0] === 2 ? "stderr" : "stdout";
      frames.push({ stream, payload });
      rest = rest.subarray(HEADER + length);
    }
    if (frames.length > 0) yield frames;
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
