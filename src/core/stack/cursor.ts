import { parseDuration } from "../../base/duration.ts";
import { FleetError, messageOf } from "../../base/errors.ts";
import { parseBytes, parseCpus } from "../../base/quantities.ts";
import { numberText } from "./yaml_scalar.ts";
import type { Path, Source, Value, Values } from "./yaml_source.ts";

/** What was met on the way and does not stop a deployment: said once, in one line per kind. */
export interface Remarks {
  /** Keys that have no meaning on a cluster, by name: where they stand. */
  readonly unsupported: Map<string, string[]>;
  /** Sentences, each with its place. */
  readonly notes: string[];
}

export function noRemarks(): Remarks {
  return { unsupported: new Map(), notes: [] };
}

/**
 * A value and where it stands. Every reading method throws FleetError invalid that begins with
 * `file:line:column: path:` and says what may stand there.
 */
export class Cursor {
  readonly source: Source;
  readonly path: Path;
  readonly value: Value;
  readonly remarks: Remarks;

  constructor(source: Source, path: Path, value: Value, remarks: Remarks) {
    this.source = source;
    this.path = path;
    this.value = value;
    this.remarks = remarks;
  }

  get place(): string {
    return this.source.at(this.path);
  }

  get name(): string {
    return this.path.map((part, i) =>
      typeof part === "number" ? `[${part}]` : i ? `.${part}` : part
    )
      .join("");
  }

  get isNull(): boolean {
    return this.value === null;
  }

  get isList(): boolean {
    return Array.isArray(this.value);
  }

  get isMap(): boolean {
    return typeof this.value === "object" && this.value !== null && !Array.isArray(this.value);
  }

  fail(message: string): never {
    throw new FleetError("invalid", `${this.place}: ${this.name}: ${message}`);
  }

  /** Tells the person, and goes on. */
  note(message: string): void {
    this.remarks.notes.push(`${this.place}: ${this.name}: ${message}`);
  }

  unsupported(): void {
    const key = String(this.path.at(-1));
    const places = this.remarks.unsupported.get(key) ?? [];
    places.push(this.place);
    this.remarks.unsupported.set(key, places);
  }

  child(key: string | number): Cursor {
    const values = this.value as Values | Value[];
    const value = Array.isArray(values)
      ? values[key as number]
      : Object.hasOwn(values, key)
      ? values[key]
      : undefined;
    return new Cursor(this.source, [...this.path, key], value ?? null, this.remarks);
  }

  /** The children of a mapping, in the file's order; an absent one has none. */
  entries(): [string, Cursor][] {
    if (this.isNull) return [];
    if (!this.isMap) this.fail(`must be a mapping${this.#instead()}`);
    return Object.keys(this.value as Values).map((key) => [key, this.child(key)]);
  }

  items(): Cursor[] {
    if (this.isNull) return [];
    if (!Array.isArray(this.value)) this.fail(`must be a list${this.#instead()}`);
    return (this.value as Value[]).map((_, i) => this.child(i));
  }

  text(): string {
    const { value } = this;
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "bigint") return numberText(value);
    return this.fail(`must be a text${this.#instead()}`);
  }

  /** A text, a number, or a boolean written out: values of labels, options and variables. */
  scalar(): string {
    return typeof this.value === "boolean" ? String(this.value) : this.text();
  }

  boolean(): boolean {
    if (typeof this.value === "boolean") return this.value;
    const text = typeof this.value === "string" ? this.value.toLowerCase() : "";
    if (["true", "yes", "y", "on"].includes(text)) return true;
    if (["false", "no", "n", "off"].includes(text)) return false;
    return this.fail(`must be true or false${this.#instead()}`);
  }

  number(): number {
    const { value } = this;
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof number === "bigint") return Number(number);
    if (typeof number !== "number" || !Number.isFinite(number)) {
      this.fail(`must be a number${this.#instead()}`);
    }
    return number as number;
  }

  integer(min = Number.MIN_SAFE_INTEGER): number {
    const number = this.number();
    if (!Number.isInteger(number) || number < min) {
      const least = min === Number.MIN_SAFE_INTEGER ? "" : ` of at least ${min}`;
      this.fail(`must be a whole number${least}${this.#instead()}`);
    }
    return number;
  }

  /** One of `words`. */
  word<T extends string>(...words: T[]): T {
    const text = this.text();
    if (!words.includes(text as T)) this.fail(`"${text}" is none of ${words.join(", ")}`);
    return text as T;
  }

  /** Permission bits; YAML has read `0440` as octal already. */
  mode(): number {
    if (typeof this.value === "string") {
      if (!/^0?o?[0-7]{1,5}$/.test(this.value)) this.fail("must be a file mode such as 0440");
      return Number.parseInt(this.value.replace(/^0?o?/, ""), 8) || 0;
    }
    return this.integer(0);
  }

  /** Nanoseconds. */
  duration(): number {
    return this.#parsed(parseDuration);
  }

  bytes(): number {
    return this.#parsed(parseBytes);
  }

  nanoCpus(): number {
    return this.#parsed(parseCpus);
  }

  strings(): string[] {
    return this.items().map((item) => item.scalar());
  }

  /** One text or a list of them. */
  stringOrList(): string[] {
    return this.isList ? this.strings() : this.isNull ? [] : [this.scalar()];
  }

  #parsed<T>(parse: (text: string) => T): T {
    const text = this.text();
    try {
      return parse(text);
    } catch (error) {
      return this.fail(messageOf(error));
    }
  }

  #instead(): string {
    if (this.isNull) return ", and nothing stands there";
    if (this.isList) return ", not a list";
    if (this.isMap) return ", not a mapping";
    return `, not ${String(this.value)}`;
  }
}
