import { setImmediate } from "node:timers";
import { VirtualTime } from "../virtual_time.ts";

/** Virtual milliseconds since 1970 at which every run begins. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * Virtual time for code that waits with promises: after the events of each millisecond all promises run
 * that wait for nothing else. Whole milliseconds only, so that few such pauses are needed.
 */
export class AsyncTime extends VirtualTime {
  override now(): number {
    return EPOCH_MS + super.now();
  }

  override after(ms: number, run: () => void): () => void {
    return super.after(Math.ceil(ms), run);
  }

  /** Lets `ms` pass, or less when `stop` says so. */
  async pass(ms: number, stop: () => boolean = () => false): Promise<void> {
    const end = this.monotonic() + ms;
    await settle();
    while (!stop()) {
      const next = this.nextAt();
      if (next > end) break;
      this.runUntil(next);
      await settle();
    }
    if (!stop()) this.runUntil(end);
  }
}

/** One turn of the event loop: every promise reaction that is due has run then. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
