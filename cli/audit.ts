import { addListFlags } from "./list_flags.ts";
import type { ListFlags } from "./list_flags.ts";
import { filtersText } from "./query.ts";
import { renderList } from "./render/list.ts";
import type { ListShape } from "./render/list.ts";
import { ago, shortId } from "./render/text.ts";
import { sinceText } from "./since.ts";
import type { Verb } from "./verb.ts";

interface Flags extends ListFlags {
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  readonly filter?: readonly string[];
}

/** An entry of GET /fleet/audit. */
interface Entry {
  readonly ID: string;
  readonly Time: string;
  readonly Actor: string;
  readonly Via: string;
  readonly Action: string;
  readonly Object: { readonly Type: string; readonly ID: string; readonly Name: string };
  readonly From?: number;
  readonly To?: number;
  readonly Result: string;
}

const SHAPE: ListShape = {
  headers: {
    ID: "ID",
    Time: "TIME",
    Ago: "AGO",
    Actor: "WHO",
    Via: "ON",
    Action: "ACTION",
    Object: "OBJECT",
    Version: "VERSION",
    Result: "RESULT",
  },
  columns: ["Time", "Actor", "Via", "Action", "Object", "Version", "Result"],
};

export const verb: Verb<Flags> = {
  define(command) {
    addListFlags(command)
      .value("--since <time>", "From this time on (2026-01-02T03:04:05Z) or this long ago (42m)")
      .value("--until <time>", "Up to this time")
      .value("-n, --limit <number>", "Only the newest ones (default 100)")
      .examples("fleet audit --since 1h", "fleet audit --filter object=web --format json");
  },
  async run({ client, env }, _args, flags) {
    const now = env.now();
    const time = (text: string | undefined) =>
      text === undefined ? undefined : sinceText(text, now);
    const entries = await client.get<Entry[]>("/fleet/audit", {
      query: {
        since: time(flags.since),
        until: time(flags.until),
        limit: flags.limit ?? "100",
        filters: filtersText(flags.filter),
      },
    });
    const rows = entries.map((entry) => ({
      ID: entry.ID,
      Time: entry.Time,
      Ago: ago(entry.Time, now),
      Actor: entry.Actor,
      Via: entry.Via,
      Action: entry.Action,
      Object: entry.Object.Name || shortId(entry.Object.ID),
      Version: entry.From === undefined && entry.To === undefined
        ? "-"
        : `${entry.From ?? "-"}>${entry.To ?? "-"}`,
      Result: entry.Result,
    }));
    env.stdout.write(renderList(SHAPE, rows, flags));
  },
};
