/** `now` without what `remove` says, then with `add`; an added item takes the place of one with its key. */
export function changedList<T>(
  now: readonly T[] | undefined,
  add: readonly T[],
  remove: (item: T) => boolean,
  keyOf: (item: T) => string,
): T[] {
  const out = (now ?? []).filter((item) => !remove(item));
  for (const item of add) {
    const at = out.findIndex((other) => keyOf(other) === keyOf(item));
    if (at < 0) out.push(item);
    else out[at] = item;
  }
  return out;
}

/** As {@link changedList} for plain strings, which are removed by value. */
export function changedStrings(
  now: readonly string[] | undefined,
  add: readonly string[] | undefined,
  remove: readonly string[] | undefined,
): string[] {
  return changedList(now, add ?? [], (item) => remove?.includes(item) ?? false, (item) => item);
}

/** As {@link changedList} for a record; removal is by key. */
export function changedRecord(
  now: Readonly<Record<string, string>> | undefined,
  add: Readonly<Record<string, string>>,
  remove: readonly string[] | undefined,
): Record<string, string> {
  const kept = Object.entries(now ?? {}).filter(([key]) => !remove?.includes(key));
  return { ...Object.fromEntries(kept), ...add };
}
