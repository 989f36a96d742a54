import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { parseHostPort } from "../../base/addresses.ts";
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

const TOWARDS_TIMEOUT_MS = 5_000;

/** Addresses of this machine by interface. */
export const realInterfaces = {
  list(): { name: string; address: string }[] {
    return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).map(({ address }) => ({ name, address }))
    );
  },

  async towards(remote: string): Promise<string | undefined> {
    const { host, port } = parseHostPort(remote, 0);
    try {
      const signal = AbortSignal.timeout(TOWARDS_TIMEOUT_MS);
      using connection = await Deno.connect({ hostname: host, port, signal });
      return connection.localAddr.hostname;
    } catch {
      return undefined;
    }
  },
};
