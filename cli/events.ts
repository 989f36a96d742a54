import { FleetError } from "../src/base/errors.ts";
import { filtersText } from "./query.ts";
import { compileTemplate } from "../src/base/template/template.ts";
import { sinceText } from "./since.ts";
import type { Verb } from "./verb.ts";

interface Flags {
  readonly since?: string;
  readonly until?: string;
  readonly filter?: readonly string[];
  readonly format?: string;
}

/** A message of GET /events. */
interface Message {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
  readonly time?: number;
  readonly timeNano?: number;
}

/** A longer line is no event. */
const MAX_LINE = 1024 * 1024;

/** Those of Docker's API; it takes others without a word, and then filters nothing. */
const FILTERS = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "task",
  "type",
  "volume",
];

export const verb: Verb<Flags> = {
  define(command) {
    command
      .value("--since <time>", "From this time on (2026-01-02T03:04:05Z) or this long ago (42m)")
      .value("--until <time>", "Up to this time")
      .list("-f, --filter <filter>", "Show only what matches (type=service, event=update …)")
      .value("--format <string>", "json, or a Go template")
      .examples("fleet events --filter type=service", "fleet events --since 10m --format json");
  },
  async run({ client, env }, _args, flags) {
    const time = (text: string | undefined) =>
      text === undefined ? undefined : sinceText(text, env.now());
    const show = flags.format && flags.format !== "json"
      ? compileTemplate(flags.format)
      : flags.format === "json"
      ? (message: unknown) => JSON.stringify(message)
      : (message: unknown) => eventText(message as Message);
    for (const filter of flags.filter ?? []) {
      const [key = ""] = filter.split("=");
      if (!filter.includes("=") || FILTERS.includes(key.trim().toLowerCase())) continue;
      throw new FleetError("invalid", `--filter ${key}: events know ${FILTERS.join(", ")}`);
    }
    const controller = new AbortController();
    const stop = env.onInterrupt(() => controller.abort());
    try {
      const response = await client.request("GET", "/events", {
        query: {
          since: time(flags.since),
          until: time(flags.until),
          filters: filtersText(flags.filter),
        },
        signal: controller.signal,
      });
      if (!response.body) return;
      for await (const line of lines(response.body)) {
        env.stdout.write(`${show(JSON.parse(line))}\n`);
      }
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    } finally {
      stop();
    }
  },
};

/** `time type action id (attributes)`, as Docker's client writes events. */
export function eventText(message: Message): string {
  const ms = message.timeNano ? message.timeNano / 1e6 : (message.time ?? 0) * 1000;
  const attributes = Object.entries(message.Actor?.Attributes ?? {})
    .sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => `${key}=${value}`);
  const tail = attributes.length > 0 ? ` (${attributes.join(", ")})` : "";
  const time = new Date(ms).toISOString();
  return `${time} ${message.Type} ${message.Action} ${message.Actor?.ID ?? ""}${tail}`;
}

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    for (let at = rest.indexOf("\n"); at >= 0; at = rest.indexOf("\n")) {
      const line = rest.slice(0, at).trim();
      rest = rest.slice(at + 1);
      if (line !== "") yield line;
    }
    if (rest.length > MAX_LINE) throw new Error("an event of more than 1 MiB");
  }
  if (rest.trim() !== "") yield rest;
}
