import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";

/** The machine's time. */
export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

/** The operating system's randomness, fit for keys. */
export const realRandom: Random = {
  float: () => Math.random(),
  bytes: (n) => new Uint8Array(randomBytes(n)),
};

/** Addresses of this machine by interface. */
export const realInterfaces = {
  list(): { name: string; address: string }[] {
    return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).map(({ address }) => ({ name, address }))
    );
  },
};
