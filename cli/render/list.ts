import { FleetError } from "../../src/base/errors.ts";
import { renderTable } from "./table.ts";
import { compileTemplate } from "../../src/base/template/template.ts";
import { toYaml } from "./yaml.ts";
import { TemplateRow } from "../../src/base/template/row.ts";

/** How a kind of object is listed: what `--format` may name, and the default table. */
export interface ListShape {
  /** Headers of the fields that can stand in a table. */
  readonly headers: Readonly<Record<string, string>>;
  /** The default table's fields, in order. */
  readonly columns: readonly string[];
  /** The field that `--quiet` prints. */
  readonly id?: string;
}

export interface ListOptions {
  readonly format?: string;
  readonly quiet?: boolean;
}

/**
 * `rows` in the asked form: the default table, `--quiet`, `--format table …`, `json`, `yaml` or a template.
 * @throws FleetError invalid for a bad template
 */
export function renderList(
  shape: ListShape,
  rows: readonly Readonly<Record<string, unknown>>[],
  options: ListOptions,
): string {
  const format = (options.format ?? "").trim() || "table";
  if (options.quiet && (format === "table" || format === "raw")) {
    return rows.map((row) => `${row[shape.id ?? "ID"]}\n`).join("");
  }
  if (format === "json") return template("{{json .}}", rows);
  if (format === "yaml") return rows.length === 0 ? "[]\n" : toYaml(rows);
  if (format === "table") return defaultTable(shape, rows);
  if (/^table\s/.test(format)) return customTable(shape, format.slice(6).trim(), rows);
  if (!format.includes("{{")) {
    throw new FleetError(
      "invalid",
      `bad --format "${format}": use table, json, yaml, or a template such as '{{.${
        shape.columns[0]
      }}}'`,
    );
  }
  return template(unescape(format), rows);
}

function template(source: string, rows: readonly Readonly<Record<string, unknown>>[]): string {
  const run = compileTemplate(source);
  return rows.map((row) => `${run(new TemplateRow(row))}\n`).join("");
}

function defaultTable(
  shape: ListShape,
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  const header = shape.columns.map((column) => shape.headers[column] ?? "");
  const cells = rows.map((row) => shape.columns.map((column) => String(row[column] ?? "")));
  return renderTable([header, ...cells]);
}

/** The header is the template itself, run over the fields' headers. */
function customTable(
  shape: ListShape,
  source: string,
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  const run = compileTemplate(unescape(source));
  // A header has no lists: loops over it print nothing, methods print their argument.
  const headers = { ...shape.headers, Label: (key: unknown) => String(key) };
  const lines = [headers, ...rows].map((row) => run(new TemplateRow(row)));
  return renderTable(lines.map((line) => line.split("\t")));
}

/** `\t` and `\n` as people type them in single quotes. */
function unescape(source: string): string {
  return source.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}
