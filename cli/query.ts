import { FleetError } from "../src/base/errors.ts";

/** `--filter key=value` pairs as the API's `filters` parameter; undefined when there are none. */
export function filtersText(
  pairs: readonly string[] | undefined,
  more: Readonly<Record<string, readonly string[]>> = {},
): string | undefined {
  const filters: Record<string, Record<string, boolean>> = {};
  const add = (key: string, value: string) => (filters[key] ??= {})[value] = true;
  for (const pair of pairs ?? []) {
    const at = pair.indexOf("=");
    if (at <= 0) {
      throw new FleetError("invalid", `bad --filter "${pair}": write it as key=value`);
    }
    add(pair.slice(0, at).trim().toLowerCase(), pair.slice(at + 1).trim());
  }
  for (const [key, values] of Object.entries(more)) for (const value of values) add(key, value);
  return Object.keys(filters).length > 0 ? JSON.stringify(filters) : undefined;
}

/** `reference` as one segment of a path. */
export function segment(reference: string): string {
  return encodeURIComponent(reference);
}
