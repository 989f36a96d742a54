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
          : `${time} ${at.padEnd(5)} ${oneLine(message)}${text(all)}`;
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
      const shown = oneLine(String(value));
      return ` ${key}=${/[\s"=]/.test(shown) || shown === "" ? quoted(shown) : shown}`;
    }).join("");
}

const quoted = (text: string) => `"${text.replaceAll('"', '\\"')}"`;

/** What others chose must not end a line, pass for another one, or move a terminal's cursor. */
export function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (char) => {
    const code = char.charCodeAt(0);
    if (char === "\n") return "\\n";
    return code < 256
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
