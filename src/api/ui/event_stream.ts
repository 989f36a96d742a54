import type { Clock } from "../../base/clock.ts";
import { FleetError } from "../../base/errors.ts";
import type { FeedReader, LiveFeed } from "./live_feed.ts";

/** Streams at once; a person has a few, and a thousand idle ones must not keep others out of memory. */
export const MAX_STREAMS = 256;
/** Bytes that wait for a slow reader; then it is told to begin again once it can take something. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** A sign of life, also for proxies that end silent connections. */
const BEAT_MS = 5_000;
const encoder = new TextEncoder();

export interface EventStreamOptions {
  readonly feed: LiveFeed;
  readonly clock: Clock;
  /** Where the reader stopped. */
  readonly from: string;
  /** Asked now and then: whether the reader's session lives. */
  readonly valid: () => boolean;
  readonly signal: AbortSignal;
}

/** The feed as server-sent events: `change` with an id to go on from, `again` when the reader has to begin again. */
export function eventStream(options: EventStreamOptions): Response {
  const { feed, clock, from, valid, signal } = options;
  if (feed.readers >= MAX_STREAMS) {
    throw new FleetError("unavailable", `${MAX_STREAMS} pages read already: close some`);
  }
  let leave = () => {};
  const body = new ReadableStream<Uint8Array>({
    start(out) {
      let cancelBeat = () => {};
      let over = false;
      const end = (last?: string) => {
        if (over) return;
        over = true;
        leave();
        if (last) out.enqueue(encoder.encode(last));
        out.close();
      };
      const reader: FeedReader = {
        send(at, text) {
          if (over) return;
          if ((out.desiredSize ?? 0) < -MAX_WAITING_BYTES) return end(event("again", "slow"));
          out.enqueue(encoder.encode(`id: ${at}\n${event("change", text)}`));
        },
      };
      leave = () => {
        over = true;
        cancelBeat();
        feed.leave(reader);
      };
      const beat = () => {
        if (over) return;
        if (!valid()) return end(event("expired", "the session has ended"));
        out.enqueue(encoder.encode(event("beat", String(clock.now()))));
        cancelBeat = clock.after(BEAT_MS, beat);
      };
      out.enqueue(encoder.encode("retry: 1000\n\n"));
      if (!feed.join(reader, from)) return end(event("again", "too old"));
      beat();
      signal.addEventListener("abort", () => leave(), { once: true });
    },
    cancel() {
      leave();
    },
  }, new ByteLengthQueuingStrategy({ highWaterMark: 0 }));
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

function event(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}
