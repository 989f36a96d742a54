/**
 * A row of a table as a template sees it. Asking for a field that it does not have is a mistake worth
 * naming, unlike in inspected objects, where a field may just be unset. A function value is a method
 * with arguments, such as `.Label "key"`.
 */
export class TemplateRow {
  constructor(readonly fields: Readonly<Record<string, unknown>>) {}

  /** `{{json .}}` shows the values, not the methods. */
  toJSON(): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(this.fields).filter(([, value]) => typeof value !== "function")
        .sort(([a], [b]) => a < b ? -1 : 1),
    );
  }
}

/**
 * A map of texts with any keys, such as labels. A field that it does not have is a mistake; `index` gives
 * the empty text, as Go's does for a map of strings.
 */
export class TemplateMap {
  constructor(readonly values: Readonly<Record<string, string>>) {}

  toJSON(): Readonly<Record<string, string>> {
    return this.values;
  }
}
