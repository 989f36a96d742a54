import { FleetError } from "../errors.ts";
import { goText } from "./go_text.ts";
import { TEMPLATE_FUNCTIONS, truth } from "./functions.ts";
import type { TemplateFunction } from "./functions.ts";
import { parseTemplate } from "./parse.ts";
import type { Operand, Pipeline, TemplateNode } from "./parse.ts";
import { TemplateMap, TemplateRow } from "./row.ts";

/** A compiled template: data in, text out. @throws FleetError invalid while running, too */
export type Template = (data: unknown) => string;

/** A loop over more items than this is a mistake. */
const MAX_ITEMS = 1_000_000;

/**
 * Compiles a subset of Go's text/template: fields, pipes, `if`, `range`, `with`, variables, comparisons.
 * `functions` are added to Go's own. @throws FleetError invalid
 */
export function compileTemplate(
  source: string,
  functions: Readonly<Record<string, TemplateFunction>> = {},
): Template {
  const nodes = parseTemplate(source);
  const all = { ...TEMPLATE_FUNCTIONS, ...functions };
  return (data) => run(nodes, data, { functions: all, variables: { "": data } });
}

/** What names mean at one place. Blocks get variables of their own. */
interface Scope {
  readonly functions: Readonly<Record<string, TemplateFunction>>;
  readonly variables: Record<string, unknown>;
}

function block(scope: Scope): Scope {
  return { ...scope, variables: { ...scope.variables } };
}

function run(nodes: readonly TemplateNode[], dot: unknown, scope: Scope): string {
  let out = "";
  for (const node of nodes) {
    if (node.kind === "text") out += node.text;
    else if (node.kind === "print") {
      const value = evaluate(node.pipeline, dot, scope);
      if (node.pipeline.assign === undefined) out += goText(value);
      else scope.variables[node.pipeline.assign] = value;
    } else if (node.kind === "range") out += loop(node, dot, scope);
    else {
      const inside = block(scope);
      const value = evaluate(node.pipeline, dot, inside);
      if (node.pipeline.assign !== undefined) inside.variables[node.pipeline.assign] = value;
      const inner = node.kind === "with" && truth(value) ? value : dot;
      out += run(truth(value) ? node.then : node.otherwise, inner, inside);
    }
  }
  return out;
}

function loop(
  node: Extract<TemplateNode, { kind: "range" }>,
  dot: unknown,
  scope: Scope,
): string {
  const items = itemsOf(evaluate(node.pipeline, dot, scope));
  if (items.length > MAX_ITEMS) throw bad(`range over more than ${MAX_ITEMS} items`);
  if (items.length === 0) return run(node.otherwise, dot, block(scope));
  let out = "";
  for (const [key, value] of items) {
    const inside = block(scope);
    if (node.key !== undefined) inside.variables[node.key] = key;
    if (node.value !== undefined) inside.variables[node.value] = value;
    out += run(node.then, value, inside);
  }
  return out;
}

function itemsOf(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item, index) => [index, item]);
  if (value instanceof TemplateMap) return itemsOf(value.values);
  if (typeof value === "object") {
    return Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  }
  throw bad(`range needs a list or a map, not ${goText(value)}`);
}

function evaluate(pipeline: Pipeline, dot: unknown, scope: Scope): unknown {
  let piped: unknown[] = [];
  for (const command of pipeline.commands) {
    piped = [runCommand(command, piped, dot, scope)];
  }
  return piped[0];
}

function runCommand(
  command: readonly Operand[],
  piped: readonly unknown[],
  dot: unknown,
  scope: Scope,
): unknown {
  const [first, ...rest] = command;
  if (first?.kind === "function") {
    const fn = scope.functions[first.name];
    if (!fn) {
      const known = Object.keys(scope.functions).sort().join(", ");
      throw bad(`unknown function "${first.name}"; known are ${known}`);
    }
    return fn([...rest.map((operand) => operandValue(operand, dot, scope)), ...piped]);
  }
  const value = operandValue(first!, dot, scope);
  const given = [...rest.map((operand) => operandValue(operand, dot, scope)), ...piped];
  if (typeof value === "function") return value(...given);
  if (given.length > 0) throw bad("only functions take arguments");
  return value;
}

function operandValue(operand: Operand, dot: unknown, scope: Scope): unknown {
  switch (operand.kind) {
    case "literal":
      return operand.value;
    case "path":
      return walk(dot, operand.fields);
    case "variable":
      if (!Object.hasOwn(scope.variables, operand.name)) {
        throw bad(`undefined variable $${operand.name}`);
      }
      return walk(scope.variables[operand.name], operand.fields);
    case "group":
      return walk(evaluate(operand.pipeline, dot, scope), operand.fields);
    case "function":
      return runCommand([operand], [], dot, scope);
  }
}

function walk(value: unknown, fields: readonly string[]): unknown {
  let at = value;
  for (const field of fields) {
    if (at instanceof TemplateRow) {
      if (!Object.hasOwn(at.fields, field)) {
        throw bad(
          `no field .${field}; there are ${
            Object.keys(at.fields).map((name) => `.${name}`).join(" ")
          }`,
        );
      }
      at = at.fields[field];
    } else if (at instanceof TemplateMap) {
      if (!Object.hasOwn(at.values, field)) throw bad(`no key "${field}"`);
      at = at.values[field];
    } else if (at === null || at === undefined) return undefined;
    else if (typeof at !== "object") throw bad(`.${field} of "${goText(at)}", which has no fields`);
    else at = Object.hasOwn(at, field) ? (at as Record<string, unknown>)[field] : undefined;
  }
  return at;
}

function bad(message: string): FleetError {
  return new FleetError("invalid", `bad template: ${message}`);
}
