import type { Context } from "hono";

/** Somebody who reads an answer while it is made. */
export interface Reader {
  /** Ends when the reader has gone. */
  readonly signal: AbortSignal;
  /** What `source` gives, asked for only as fast as it is read. */
  body(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array>;
}

/** The client of a request whose answer is a stream. */
export function readerOf(context: Context): Reader {
  const controller = new AbortController();
  context.req.raw.signal.addEventListener("abort", () => controller.abort(), { once: true });
  return {
    signal: controller.signal,
    body(source) {
      const iterator = source[Symbol.asyncIterator]();
      return new ReadableStream<Uint8Array>({
        async pull(out) {
          const next = await iterator.next();
          if (next.done) out.close();
          else out.enqueue(next.value);
        },
        async cancel() {
          controller.abort();
          await iterator.return?.();
        },
      }, { highWaterMark: 0 });
    },
  };
}
