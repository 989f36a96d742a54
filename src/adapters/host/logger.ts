import type { LogFields, Logger, LogLevel } from "../../base/log.ts";

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const encoder = new TextEncoder();

/** A logger whose level can be changed while it is in use; loggers made by `with` follow. */
export interface ProcessLogger extends Logger {
  setLevel(level: LogLevel): void;
}

/** Writes a line per event to standard error, as text (`time level message key=value`) or JSON. */
export function processLogger(first: LogLevel, format: "text" | "json"): ProcessLogger {
  let level = first;
  return { ...make({}), setLevel: (changed) => void (level = changed) };

  function make(bound: LogFields): Logger {
    return {
      log(at, message, fields) {
        if (ORDER[at] < ORDER[level]) return;
        const time = new Date().toISOString();
        const all = { ...bound, ...fields };
        const line = format === "json"
          ? JSON.stringify({ time, level: at, msg: message, ...all })
          : `${time} ${at.padEnd(5)} ${message}${text(all)}`;
        try {
          Deno.stderr.writeSync(encoder.encode(`${line}\n`));
        } catch {
          // A full disk or a closed pipe must not stop the agent for a log line.
        }
      },
      with: (fields) => make({ ...bound, ...fields }),
    };
  }
}

function text(fields: LogFields): string {
  return Object.entries(fields).filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const shown = String(value).replaceAll("\n", "\\n");
      return ` ${key}=${/[\s"=]/.test(shown) || shown === "" ? JSON.stringify(shown) : shown}`;
    }).join("");
}
