import { FleetError } from "../errors.ts";
import { goText } from "./go_text.ts";
import { TemplateMap } from "./row.ts";

export type TemplateFunction = (args: readonly unknown[]) => unknown;

/** The functions of Go's templates and the ones Docker's client adds. */
export const TEMPLATE_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: ([value]) => JSON.stringify(value ?? null),
  join: ([list, separator]) => strings(list).join(goText(separator)),
  split: ([text, separator]) => goText(text).split(goText(separator)),
  upper: ([text]) => goText(text).toUpperCase(),
  lower: ([text]) => goText(text).toLowerCase(),
  title: ([text]) => goText(text).replace(/\b\p{L}/gu, (letter) => letter.toUpperCase()),
  println: (args) => args.map(goText).join(" ") + "\n",
  print: (args) => args.map(goText).join(""),
  printf: ([format, ...args]) => printf(goText(format), args),
  pad: ([text, before, after]) =>
    goText(text) === "" ? "" : spaces(before) + goText(text) + spaces(after),
  truncate: ([text, length]) => goText(text).slice(0, Number(length)),
  ellipsis: ([text, length]) => ellipsis(goText(text), Number(length)),
  len: ([value]) => length(value),
  index: ([value, ...keys]) => keys.reduce(member, value),
  not: ([value]) => !truth(value),
  and: (args) => args.find((value) => !truth(value)) ?? args.at(-1),
  or: (args) => args.find(truth) ?? args.at(-1),
  eq: ([first, ...others]) => others.some((other) => other === first),
  ne: ([a, b]) => a !== b,
  lt: ([a, b]) => compare(a, b) < 0,
  le: ([a, b]) => compare(a, b) <= 0,
  gt: ([a, b]) => compare(a, b) > 0,
  ge: ([a, b]) => compare(a, b) >= 0,
};

/** Go's notion of empty: false, 0, "", nil, and collections without members. */
export function truth(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) {
    return value instanceof TemplateMap
      ? Object.keys(value.values).length > 0
      : Object.keys(value).length > 0;
  }
  return Boolean(value);
}

function strings(list: unknown): string[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw bad(`join needs a list, not ${goText(list)}`);
  return list.map(goText);
}

/** At most `max` characters, the last being an ellipsis when something was cut. */
export function ellipsis(text: string, max: number): string {
  const characters = [...text];
  if (characters.length <= max) return text;
  return max <= 1 ? characters.slice(0, max).join("") : characters.slice(0, max - 1).join("") + "…";
}

function spaces(count: unknown): string {
  return " ".repeat(Math.min(Math.max(Number(count) || 0, 0), 1000));
}

function length(value: unknown): number {
  if (typeof value === "string") return [...value].length;
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return Object.keys(value).length;
  if (value === undefined || value === null) return 0;
  throw bad(`len of ${goText(value)}`);
}

function member(value: unknown, key: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) {
    if (typeof key !== "number" || key < 0 || key >= value.length) {
      throw bad(`index ${goText(key)} of a list of ${value.length}`);
    }
    return value[key];
  }
  const name = goText(key);
  if (value instanceof TemplateMap) return value.values[name] ?? "";
  if (typeof value === "object") {
    return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
  }
  throw bad(`index of ${goText(value)}`);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const left = goText(a);
  const right = goText(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The verbs people use: %s %v %d %q %t %x %f, with width. */
function printf(format: string, args: readonly unknown[]): string {
  let next = 0;
  return format.replace(/%([-0]?)(\d*)(?:\.(\d+))?([a-z%])/g, (_, pad, width, digits, verb) => {
    if (verb === "%") return "%";
    const value = args[next++];
    const text = verb === "q"
      ? JSON.stringify(goText(value))
      : verb === "f"
      ? Number(value).toFixed(digits === undefined ? 6 : Number(digits))
      : verb === "x"
      ? Number(value).toString(16)
      : goText(value);
    const size = Math.min(Number(width) || 0, 1000);
    return pad === "-" ? text.padEnd(size) : text.padStart(size, pad === "0" ? "0" : " ");
  });
}

function bad(message: string): FleetError {
  return new FleetError("invalid", `bad template: ${message}`);
}
