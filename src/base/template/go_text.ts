import { TemplateMap, TemplateRow } from "./row.ts";

/** A JSON value as Go prints it with `%v`: `[a b]`, `map[k:v]`, `<no value>` for nothing. */
export function goText(value: unknown): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(
      value instanceof TemplateRow || value instanceof TemplateMap ? value.toJSON() : value,
    );
    entries.sort(([a], [b]) => a < b ? -1 : 1);
    return `map[${entries.map(([key, item]) => `${key}:${goText(item)}`).join(" ")}]`;
  }
  return String(value);
}
