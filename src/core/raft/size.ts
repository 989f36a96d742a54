import type { Entry } from "./types.ts";

/** What index, term and framing of an entry cost besides its data. */
const ENTRY_OVERHEAD_BYTES = 24;

export function entryBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** `list[from .. to)`, cut where the sizes exceed `maxBytes`, but never empty unless the range is. */
export function limitSize(
  list: readonly Entry[],
  from: number,
  to: number,
  maxBytes: number,
): readonly Entry[] {
  let end = from;
  let bytes = 0;
  while (end < to) {
    bytes += entryBytes(list[end]!);
    if (bytes > maxBytes && end > from) break;
    end++;
  }
  return list.slice(from, end);
}
