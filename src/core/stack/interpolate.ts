import { FleetError } from "../../base/errors.ts";
import type { Path, Source, Value, Values } from "./yaml_source.ts";

/** A variable's value, or undefined where it is unset. */
export type Lookup = (name: string) => string | undefined;

/** Sections whose values are interpolated; keys, `version` and `x-…` never are. */
const SECTIONS = new Set([
  "name",
  "include",
  "services",
  "networks",
  "volumes",
  "secrets",
  "configs",
]);
/** Defaults within defaults: `${A:-${B:-…}}`. */
const MAX_NESTING = 32;

/**
 * The root of a file with its variables replaced: `$A`, `${A}`, `${A:-default}`, `${A-default}`,
 * `${A:?message}`, `${A?message}`, `${A:+other}`, `${A+other}`, `$$` for a dollar sign. The form with a
 * colon takes an empty variable for an unset one. @throws FleetError invalid, with file and line
 */
export function interpolateFile(
  source: Source,
  lookup: Lookup,
  onUnset: (name: string) => void = () => {},
): Values {
  const walk = (value: Value, path: Path): Value => {
    if (typeof value === "string") {
      return value.includes("$")
        ? located(source, path, () => substitute(value, lookup, onUnset))
        : value;
    }
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, walk(item, [...path, name])]),
    );
  };
  return Object.fromEntries(
    Object.entries(source.root).map((
      [name, value],
    ) => [name, SECTIONS.has(name) ? walk(value, [name]) : value]),
  );
}

function located(source: Source, path: Path, run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    throw new FleetError("invalid", `${source.at(path)}: ${path.join(".")}: ${error.message}`);
  }
}

/**
 * One text with its variables replaced. `onUnset` hears of variables that are unset and have no default.
 * @throws FleetError invalid
 */
export function substitute(
  text: string,
  lookup: Lookup,
  onUnset: (name: string) => void = () => {},
): string {
  return new Template(text, lookup, onUnset).all();
}

class Template {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #onUnset: (name: string) => void;
  #at = 0;

  constructor(text: string, lookup: Lookup, onUnset: (name: string) => void) {
    this.#text = text;
    this.#lookup = lookup;
    this.#onUnset = onUnset;
  }

  all(): string {
    return this.#upTo(undefined, 0, true);
  }

  /** Text up to `end`, which stays unread. What is not `live` is only skipped, errors included. */
  #upTo(end: string | undefined, nesting: number, live: boolean): string {
    if (nesting > MAX_NESTING) throw this.#bad();
    let out = "";
    for (;;) {
      const c = this.#text[this.#at];
      if (c === end) return out;
      if (c === undefined) throw this.#bad();
      this.#at++;
      if (c === "$") out += this.#variable(nesting, live);
      else out += c;
    }
  }

  /** What follows a dollar sign. */
  #variable(nesting: number, live: boolean): string {
    if (this.#text[this.#at] === "$") {
      this.#at++;
      return "$";
    }
    const braced = this.#text[this.#at] === "{";
    if (braced) this.#at++;
    const name = /^[_a-zA-Z][_a-zA-Z0-9]*/.exec(this.#text.slice(this.#at))?.[0];
    if (name === undefined) throw this.#bad();
    this.#at += name.length;
    const value = this.#lookup(name);
    if (!braced) return this.#plain(name, value, live);
    const operator = /^:?[-?+]/.exec(this.#text.slice(this.#at))?.[0] ?? "";
    this.#at += operator.length;
    const set = value !== undefined && (value !== "" || !operator.startsWith(":"));
    const other = operator.endsWith("+") ? set : !set;
    const word = operator === "" ? "" : this.#upTo("}", nesting + 1, live && other);
    if (this.#text[this.#at] !== "}") throw this.#bad();
    this.#at++;
    if (operator.endsWith("?")) {
      if (!set && live) {
        const why = word === "" ? "" : `: ${word}`;
        throw new FleetError("invalid", `required variable ${name} is missing a value${why}`);
      }
      return value ?? "";
    }
    if (operator.endsWith("+")) return set ? word : "";
    if (operator === "") return this.#plain(name, value, live);
    return set ? value ?? "" : word;
  }

  #plain(name: string, value: string | undefined, live: boolean): string {
    if (value === undefined && live) this.#onUnset(name);
    return value ?? "";
  }

  #bad(): FleetError {
    return new FleetError(
      "invalid",
      `"${this.#text}" is no valid template: write a variable as \${NAME} and a dollar sign as $$`,
    );
  }
}
