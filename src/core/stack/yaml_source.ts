import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, Scalar } from "yaml";
import type { Document, Node, Pair } from "yaml";
import { FleetError } from "../../base/errors.ts";
import { scalarValue } from "./yaml_scalar.ts";

/** What a compose file consists of. Whole numbers that a float cannot hold are bigints. */
export type Value = null | boolean | number | bigint | string | Value[] | Values;
export interface Values {
  [key: string]: Value;
}

export type Path = readonly (string | number)[];

/** A parsed file that knows where everything stands in it. */
export interface Source {
  readonly name: string;
  readonly root: Values;
  /** What earlier files, and services that are extended, say there does not count: `!reset` and `!override`. */
  readonly cleared: readonly Path[];
  /** Those of them that have a value all the same: a merge key of the same mapping brings it. */
  readonly kept: readonly Path[];
  /** `name:line:column` of the deepest part of `path` that is in the file. */
  at(path: Path): string;
}

/** Bytes of one file. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Values in one file after its aliases are written out: far above any real stack, far below a bomb. */
const MAX_VALUES = 100_000;
/** Maps and lists within one another. */
const MAX_DEPTH = 64;
const TOO_DEEP = `nested too deeply (at most ${MAX_DEPTH} levels)`;
/** Tags of the compose specification: what was said before is taken away, or replaced as a whole. */
const RESET = "!reset";
const OVERRIDE = "!override";

/**
 * Parses one YAML file. Anchors, aliases and merge keys are written out; an alias inside its own anchor
 * and a file that grows beyond all measure are refused.
 * @throws FleetError invalid, beginning with `name:line:column`
 */
export function parseYaml(name: string, text: string): Source {
  if (text.length > MAX_BYTES) {
    throw new FleetError("invalid", `${name}: larger than ${MAX_BYTES} bytes`);
  }
  const lineCounter = new LineCounter();
  let document: Document.Parsed;
  try {
    // Every scalar stays text: what `0440` or `yes` mean is decided as Docker's parser decides it.
    document = parseDocument(text, { schema: "failsafe", lineCounter, prettyErrors: false });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FleetError("invalid", `${name}: ${TOO_DEEP}`);
  }
  const [error] = document.errors;
  if (error) {
    const where = `${name}:${placeText(lineCounter, error.pos[0])}`;
    const deep = /call stack/.test(error.message);
    throw new FleetError("invalid", `${where}: ${deep ? TOO_DEEP : error.message}`);
  }
  const reader = new Reader(name, document, lineCounter);
  const root = reader.read(document.contents, [], 0);
  if (root === null || typeof root !== "object" || Array.isArray(root)) {
    throw new FleetError("invalid", `${name}: top-level object must be a mapping`);
  }
  return { name, root, cleared: reader.cleared, kept: reader.kept, at: (path) => reader.at(path) };
}

function placeText(counter: LineCounter, offset: number): string {
  const { line, col } = counter.linePos(offset);
  return `${line}:${col}`;
}

const key = (path: Path) => path.join("\0");

class Reader {
  readonly cleared: Path[] = [];
  readonly kept: Path[] = [];
  readonly #name: string;
  readonly #document: Document.Parsed;
  readonly #lineCounter: LineCounter;
  readonly #places = new Map<string, string>();
  /** The anchored nodes that are being read: an alias to one of them has no end. */
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(name: string, document: Document.Parsed, lineCounter: LineCounter) {
    this.#name = name;
    this.#document = document;
    this.#lineCounter = lineCounter;
  }

  at(path: Path): string {
    for (let length = path.length; length >= 0; length--) {
      const place = this.#places.get(key(path.slice(0, length)));
      if (place !== undefined) return `${this.#name}:${place}`;
    }
    return this.#name;
  }

  read(node: unknown, path: Path, depth: number): Value {
    if (++this.#values > MAX_VALUES) {
      this.#fail(node, `more than ${MAX_VALUES} values when its aliases are written out`);
    }
    if (depth > MAX_DEPTH) this.#fail(node, TOO_DEEP);
    if (isAlias(node)) return this.#readAlias(node, path, depth);
    if (node === null || node === undefined) return null;
    const tag = (node as Node).tag;
    if (tag === RESET || tag === OVERRIDE) {
      if (path.length === 0 || typeof path.at(-1) === "number" || tag === RESET) {
        this.#fail(node, `the tag ${tag} goes before the value of a key`);
      }
      this.cleared.push(path);
    }
    if (!this.#places.has(key(path))) this.#note(path, node);
    if (isScalar(node)) return this.#scalar(node);
    this.#open.add(node as Node);
    try {
      if (isSeq(node)) {
        return node.items.map((item, i) => this.read(item, [...path, i], depth + 1));
      }
      if (isMap(node)) return this.#readMap(node.items, path, depth);
    } finally {
      this.#open.delete(node as Node);
    }
    return this.#fail(node, "this is neither a value, a list nor a mapping");
  }

  #readAlias(node: Node & { source: string }, path: Path, depth: number): Value {
    const target = (node as unknown as { resolve(document: Document): Node | undefined })
      .resolve(this.#document);
    if (!target) this.#fail(node, `there is no anchor &${node.source} before this alias`);
    if (this.#open.has(target)) {
      this.#fail(node, `the anchor &${node.source} contains itself`);
    }
    this.#note(path, node);
    return this.read(target, path, depth);
  }

  #readMap(items: readonly Pair[], path: Path, depth: number): Values {
    const own: Values = {};
    const merged: Values[] = [];
    const reset: string[] = [];
    for (const { key: keyNode, value } of items) {
      if (isMergeKey(keyNode)) {
        merged.push(...this.#mergeSources(value, path, depth));
        continue;
      }
      const resolved = isAlias(keyNode) ? keyNode.resolve(this.#document) : keyNode;
      if (!isScalar(resolved)) this.#fail(keyNode, "a key must be a plain text");
      const name = resolved.source ?? String(resolved.value ?? "");
      const inner = [...path, name];
      this.#note(inner, keyNode);
      if ((value as Node | null)?.tag === RESET) {
        this.cleared.push(inner);
        reset.push(name);
        continue;
      }
      define(own, name, this.read(value, inner, depth + 1));
    }
    // The map's own keys win over merged ones, and the first merged map over the next.
    for (const values of merged) {
      for (const [name, value] of Object.entries(values)) {
        if (!Object.hasOwn(own, name)) define(own, name, value);
      }
    }
    for (const name of reset) if (Object.hasOwn(own, name)) this.kept.push([...path, name]);
    return own;
  }

  #mergeSources(node: unknown, path: Path, depth: number): Values[] {
    const value = this.read(node, path, depth + 1);
    const list = Array.isArray(value) ? value : [value];
    return list.map((item) => {
      if (item === null || typeof item !== "object" || Array.isArray(item)) {
        return this.#fail(node, "a merge key (<<) takes a mapping or a list of mappings");
      }
      return item;
    });
  }

  #scalar(node: Scalar): Value {
    const text = String(node.value ?? "");
    const plain = node.type === undefined || node.type === Scalar.PLAIN;
    return plain && node.tag !== "tag:yaml.org,2002:str" ? scalarValue(text) : text;
  }

  #note(path: Path, node: unknown): void {
    const range = (node as { range?: readonly number[] } | null)?.range;
    if (range) this.#places.set(key(path), placeText(this.#lineCounter, range[0] ?? 0));
  }

  #fail(node: unknown, message: string): never {
    const range = (node as { range?: readonly number[] } | null)?.range;
    const place = range ? `:${placeText(this.#lineCounter, range[0] ?? 0)}` : "";
    throw new FleetError("invalid", `${this.#name}${place}: ${message}`);
  }
}

/** Also for a key such as `__proto__`, which an assignment would swallow. */
function define(target: Values, name: string, value: Value): void {
  Object.defineProperty(target, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

function isMergeKey(node: unknown): boolean {
  return isScalar(node) && node.type === Scalar.PLAIN && node.source === "<<";
}
