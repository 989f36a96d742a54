import type { ClusterEvent } from "./cluster_event.ts";

/** What a reader of `/events` wants: times in ns since 1970 (undefined: from now, without end) and filters. */
export interface EventQuery {
  readonly sinceNs: number | undefined;
  readonly untilNs: number | undefined;
  readonly filters: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads the query as the engine does, which refuses by itself what is malformed: such parts count as absent
 * here.
 */
export function readEventQuery(param: (name: string) => string | undefined): EventQuery {
  return {
    sinceNs: nanoseconds(param("since")),
    untilNs: nanoseconds(param("until")),
    filters: readFilters(param("filters")),
  };
}

/** `seconds[.fraction]`. */
function nanoseconds(text: string | undefined): number | undefined {
  return text && /^\d{1,12}(\.\d{1,9})?$/.test(text) ? Number(text) * 1e9 : undefined;
}

function readFilters(text: string | undefined): EventQuery["filters"] {
  try {
    const raw = JSON.parse(text || "{}") as Record<string, unknown>;
    return new Map(
      Object.entries(raw ?? {}).map(([key, value]) => [
        key,
        Array.isArray(value) ? value.map(String) : Object.keys(value as object),
      ]),
    );
  } catch {
    return new Map();
  }
}

/** Filters that an event's actor answers by the beginning of its id or name, whatever its type, as in Docker. */
const ACTORS = [
  "container",
  "plugin",
  "volume",
  "network",
  "daemon",
  "node",
  "service",
  "secret",
  "config",
  "task",
];

/** Whether an event passes all filters; values of one key are alternatives, except labels. */
export function isWanted(event: ClusterEvent, { filters }: EventQuery): boolean {
  const { ID, Attributes } = event.Actor;
  const exact = (key: string, value: string) => filters.get(key)?.includes(value) ?? true;
  if (!exact("type", event.Type) || !exact("scope", event.scope)) return false;
  if (!exact("event", event.Action)) return false;
  for (const key of ACTORS) {
    const values = filters.get(key);
    const names = [ID, Attributes["name"] ?? ""];
    // A task is also its service's and its node's.
    const own = event.Type === "task" ? Attributes[key] : undefined;
    if (values?.every((value) => value !== own && !names.some((name) => name.startsWith(value)))) {
      return false;
    }
  }
  if (!exact("image", ID)) return false;
  return (filters.get("label") ?? []).every((label) => {
    const [key = "", ...value] = label.split("=");
    return value.length === 0 ? Attributes[key] !== undefined : Attributes[key] === value.join("=");
  });
}

/** Whether an event of the past lies within what is asked for. */
export function isInTime({ timeNano }: ClusterEvent, { sinceNs, untilNs }: EventQuery): boolean {
  return sinceNs !== undefined && timeNano >= sinceNs &&
    (untilNs === undefined || timeNano <= untilNs);
}
