import type { Clock } from "../../base/clock.ts";
import type { LogFields, Logger, LogLevel } from "../../base/log.ts";

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 20;

/**
 * Passes a limited number of lines per ten seconds and then says how many it kept back, so that a flood
 * of bad connections does not become a flood of log.
 */
export function limitedLogger(logger: Logger, clock: Clock): Logger {
  let windowStart = clock.monotonic();
  let lines = 0;
  const wrap = (inner: Logger): Logger => ({
    log(level: LogLevel, message: string, fields?: LogFields) {
      const now = clock.monotonic();
      if (now - windowStart >= WINDOW_MS) {
        const suppressed = lines - LINES_PER_WINDOW;
        if (suppressed > 0) logger.log("warn", "similar lines were left out", { suppressed });
        windowStart = now;
        lines = 0;
      }
      if (++lines <= LINES_PER_WINDOW) inner.log(level, message, fields);
    },
    with: (fields) => wrap(inner.with(fields)),
  });
  return wrap(logger);
}
