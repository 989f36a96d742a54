import type { Cursor } from "./cursor.ts";

/** A mapping of texts, or a list of `name=value`; a value that is missing is the empty text. */
export function readTexts(at: Cursor): Record<string, string> {
  return Object.fromEntries(readPairs(at).map(([name, value]) => [name, value ?? ""]));
}

/** The same with null for what has no value. */
export function readPairs(at: Cursor, separator = "="): [string, string | null][] {
  if (!at.isList) {
    return at.entries().map(([name, value]) => [name, value.isNull ? null : value.scalar()]);
  }
  return at.items().map((item) => {
    const text = item.scalar();
    const cut = text.indexOf(separator);
    const name = cut < 0 ? text : text.slice(0, cut);
    if (name === "") item.fail(`"${text}" has no name before ${separator}`);
    return [name, cut < 0 ? null : text.slice(cut + 1)];
  });
}
