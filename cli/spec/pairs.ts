import { FleetError } from "../../src/base/errors.ts";

/** `key` or `key=value`, as in labels; a missing value is empty. */
export function parsePair(text: string): [string, string] {
  const at = text.indexOf("=");
  const key = (at < 0 ? text : text.slice(0, at)).trim();
  if (key === "") throw new FleetError("invalid", `"${text}" has no key before "="`);
  return [key, at < 0 ? "" : text.slice(at + 1)];
}

/** Pairs as an object; the last one of a key wins. */
export function toRecord(pairs: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries((pairs ?? []).map(parsePair));
}

/**
 * The fields of a long syntax: comma-separated `key=value` with CSV quoting, so that a value may hold
 * commas (`"volume-opt=o=uid=1,gid=1"`). A field without "=" has no value.
 */
export function parseFields(text: string): { key: string; value: string | undefined }[] {
  return splitCsv(text).map((field) => {
    const at = field.indexOf("=");
    return at < 0
      ? { key: field.trim().toLowerCase(), value: undefined }
      : { key: field.slice(0, at).trim().toLowerCase(), value: field.slice(at + 1) };
  });
}

function splitCsv(text: string): string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = false;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === ",") {
      fields.push(field);
      field = "";
    } else field += c;
  }
  if (quoted) throw new FleetError("invalid", `"${text}" has an open quote`);
  fields.push(field);
  return fields;
}

/** The value of a field that must have one. */
export function needValue(what: string, key: string, value: string | undefined): string {
  if (value === undefined || value === "") {
    throw new FleetError("invalid", `${what}: ${key} needs a value (${key}=…)`);
  }
  return value;
}
