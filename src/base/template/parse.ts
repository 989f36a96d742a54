import { FleetError } from "../errors.ts";

/** A template as a tree. Positions are not kept: templates are one line on a command line. */
export type TemplateNode =
  | { kind: "text"; text: string }
  | { kind: "print"; pipeline: Pipeline }
  | { kind: "if" | "with"; pipeline: Pipeline; then: TemplateNode[]; otherwise: TemplateNode[] }
  | {
    kind: "range";
    pipeline: Pipeline;
    key?: string;
    value?: string;
    then: TemplateNode[];
    otherwise: TemplateNode[];
  };

/** Commands joined by `|`; the result of one is the last argument of the next. */
export interface Pipeline {
  readonly commands: readonly (readonly Operand[])[];
  /** `$x := …` or `$x = …` */
  readonly assign?: string;
}

export type Operand =
  | { kind: "literal"; value: string | number | boolean | null }
  | { kind: "path"; fields: readonly string[] }
  | { kind: "variable"; name: string; fields: readonly string[] }
  | { kind: "function"; name: string }
  | { kind: "group"; pipeline: Pipeline; fields: readonly string[] };

/** Templates nest no deeper than a person writes. */
const MAX_DEPTH = 32;

/** Parses the subset of Go's text/template. @throws FleetError invalid */
export function parseTemplate(source: string): TemplateNode[] {
  const parser = new Parser(cut(source));
  const nodes = parser.nodes(0);
  if (parser.peek() !== undefined) throw bad(`unexpected {{${parser.action()}}}`);
  return nodes;
}

function bad(message: string): FleetError {
  return new FleetError("invalid", `bad template: ${message}`);
}

type Piece = { text: string } | { action: string };

/** Splits text from `{{…}}` actions and applies the trim markers `{{-` and `-}}`. */
function cut(source: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = source;
  let trimNext = false;
  for (;;) {
    const start = rest.indexOf("{{");
    let text = start < 0 ? rest : rest.slice(0, start);
    if (trimNext) text = text.trimStart();
    if (start < 0) {
      if (text !== "") pieces.push({ text });
      return pieces;
    }
    const end = endOfAction(rest, start + 2);
    let action = rest.slice(start + 2, end);
    if (/^-\s/.test(action)) {
      text = text.trimEnd();
      action = action.slice(1);
    }
    trimNext = /\s-$/.test(action);
    if (trimNext) action = action.slice(0, -1);
    if (text !== "") pieces.push({ text });
    action = action.trim();
    if (!/^\/\*.*\*\/$/s.test(action)) pieces.push({ action });
    rest = rest.slice(end + 2);
  }
}

/** Index of the `}}` that ends an action, quotes respected. */
function endOfAction(text: string, from: number): number {
  let quote = "";
  for (let i = from; i < text.length; i++) {
    const c = text[i]!;
    if (quote) {
      if (c === "\\" && quote === '"') i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "`") quote = c;
    else if (c === "}" && text[i + 1] === "}") return i;
  }
  throw bad(`"{{" without "}}"`);
}

class Parser {
  #at = 0;
  constructor(readonly pieces: readonly Piece[]) {}

  peek(): Piece | undefined {
    return this.pieces[this.#at];
  }

  action(): string {
    const piece = this.peek();
    return piece !== undefined && "action" in piece ? piece.action : "";
  }

  nodes(depth: number): TemplateNode[] {
    if (depth > MAX_DEPTH) throw bad(`nested deeper than ${MAX_DEPTH}`);
    const out: TemplateNode[] = [];
    for (let piece = this.peek(); piece !== undefined; piece = this.peek()) {
      if ("text" in piece) {
        out.push({ kind: "text", text: piece.text });
        this.#at++;
        continue;
      }
      const word = /^\w+/.exec(piece.action)?.[0] ?? "";
      if (word === "end" || word === "else") return out;
      this.#at++;
      const rest = piece.action.slice(word.length).trim();
      if (word === "if" || word === "with") out.push(this.#branch(word, rest, depth));
      else if (word === "range") out.push(this.#range(rest, depth));
      else out.push({ kind: "print", pipeline: parsePipeline(tokens(piece.action)) });
    }
    return out;
  }

  #branch(kind: "if" | "with", condition: string, depth: number): TemplateNode {
    const pipeline = parsePipeline(tokens(condition));
    const then = this.nodes(depth + 1);
    const word = this.action();
    this.#at++;
    if (word === "end") return { kind, pipeline, then, otherwise: [] };
    const chained = /^else\s+(if|with)\s+(.*)$/s.exec(word);
    if (chained) {
      const next = this.#branch(chained[1] as "if" | "with", chained[2] ?? "", depth + 1);
      return { kind, pipeline, then, otherwise: [next] };
    }
    if (word !== "else") throw bad(`{{${kind}}} without {{end}}`);
    return { kind, pipeline, then, otherwise: this.#untilEnd(kind, depth) };
  }

  #range(head: string, depth: number): TemplateNode {
    const names = /^\$(\w+)(?:\s*,\s*\$(\w+))?\s*:=\s*(.*)$/s.exec(head);
    const pipeline = parsePipeline(tokens(names ? names[3] ?? "" : head));
    const then = this.nodes(depth + 1);
    const word = this.action();
    this.#at++;
    const otherwise = word === "else" ? this.#untilEnd("range", depth) : [];
    if (word !== "else" && word !== "end") throw bad("{{range}} without {{end}}");
    const node = { kind: "range" as const, pipeline, then, otherwise };
    if (!names) return node;
    return names[2] === undefined
      ? { ...node, value: names[1]! }
      : { ...node, key: names[1]!, value: names[2] };
  }

  #untilEnd(kind: string, depth: number): TemplateNode[] {
    const nodes = this.nodes(depth + 1);
    if (this.action() !== "end") throw bad(`{{${kind}}} without {{end}}`);
    this.#at++;
    return nodes;
  }
}

const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|`[^`]*`|[-+]?\d+(?:\.\d+)?|\$\w*(?:\.\w+)*|\.\w+(?:\.\w+)*|\.|\w+|:=|[=|()]/gy;

function tokens(action: string): string[] {
  const out: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < action.length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(action);
    if (!match) throw bad(`unexpected "${action[from]}" in {{${action}}}`);
    // Spaces stay: `.A .B` is two operands, `(f).B` is one.
    out.push(/^\s/.test(match[0]) ? " " : match[0]);
  }
  return out;
}

function parsePipeline(all: readonly string[]): Pipeline {
  const list = [...all];
  const solid = list.filter((token) => token !== " ");
  if (solid[0]?.startsWith("$") && (solid[1] === ":=" || solid[1] === "=")) {
    const rest = list.slice(list.indexOf(solid[1]) + 1);
    return { ...readPipeline(rest, false), assign: solid[0].slice(1) };
  }
  return readPipeline(list, false);
}

/** Reads from the front of `list`, up to its end or the closing bracket of a group. */
function readPipeline(list: string[], inGroup: boolean): Pipeline {
  const commands: Operand[][] = [];
  let command: Operand[] = [];
  for (;;) {
    const token = list.shift();
    if (token === " ") continue;
    if (token === undefined || token === ")" || token === "|") {
      if (command.length === 0) throw bad("an empty command");
      commands.push(command);
      command = [];
      if (token === "|") continue;
      if ((token === ")") !== inGroup) throw bad(inGroup ? `"(" without ")"` : `")" without "("`);
      return { commands };
    }
    command.push(readOperand(token, list));
  }
}

function readOperand(token: string, list: string[]): Operand {
  if (token === "(") {
    const pipeline = readPipeline(list, true);
    const fields = /^\.\w/.test(list[0] ?? "") ? list.shift()!.slice(1).split(".") : [];
    return { kind: "group", pipeline, fields };
  }
  if (token.startsWith('"')) return { kind: "literal", value: unquote(token) };
  if (token.startsWith("`")) return { kind: "literal", value: token.slice(1, -1) };
  if (/^[-+]?\d/.test(token)) return { kind: "literal", value: Number(token) };
  if (token === "true" || token === "false") return { kind: "literal", value: token === "true" };
  if (token === "nil") return { kind: "literal", value: null };
  if (token === ".") return { kind: "path", fields: [] };
  if (token.startsWith(".")) return { kind: "path", fields: token.slice(1).split(".") };
  if (token.startsWith("$")) {
    const [name, ...fields] = token.slice(1).split(".");
    return { kind: "variable", name: name ?? "", fields };
  }
  if (/^\w/.test(token)) return { kind: "function", name: token };
  throw bad(`unexpected "${token}"`);
}

function unquote(token: string): string {
  try {
    return JSON.parse(token) as string;
  } catch {
    throw bad(`bad string ${token}`);
  }
}
