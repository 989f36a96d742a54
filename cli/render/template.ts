import { FleetError } from "../../src/base/errors.ts";
import { goText } from "./go_text.ts";
import { TEMPLATE_FUNCTIONS, truth } from "./template_functions.ts";
import { parseTemplate } from "./template_parse.ts";
import type { Operand, Pipeline, TemplateNode } from "./template_parse.ts";
import { TemplateRow } from "./template_row.ts";

/** A compiled template: data in, text out. @throws FleetError invalid while running, too */
export type Template = (data: unknown) => string;

/** A loop over more items than this is a mistake. */
const MAX_ITEMS = 1_000_000;

/** Compiles the subset of Go's text/template that `--format` knows. @throws FleetError invalid */
export function compileTemplate(source: string): Template {
  const nodes = parseTemplate(source);
  return (data) => run(nodes, data, { "": data });
}

type Variables = Record<string, unknown>;

function run(nodes: readonly TemplateNode[], dot: unknown, variables: Variables): string {
  let out = "";
  for (const node of nodes) {
    if (node.kind === "text") out += node.text;
    else if (node.kind === "print") {
      const value = evaluate(node.pipeline, dot, variables);
      if (node.pipeline.assign === undefined) out += goText(value);
      else variables[node.pipeline.assign] = value;
    } else if (node.kind === "range") out += loop(node, dot, variables);
    else {
      const scope = { ...variables };
      const value = evaluate(node.pipeline, dot, scope);
      if (node.pipeline.assign !== undefined) scope[node.pipeline.assign] = value;
      const inner = node.kind === "with" && truth(value) ? value : dot;
      out += run(truth(value) ? node.then : node.otherwise, inner, scope);
    }
  }
  return out;
}

function loop(
  node: Extract<TemplateNode, { kind: "range" }>,
  dot: unknown,
  variables: Variables,
): string {
  const items = itemsOf(evaluate(node.pipeline, dot, variables));
  if (items.length > MAX_ITEMS) throw bad(`range over more than ${MAX_ITEMS} items`);
  if (items.length === 0) return run(node.otherwise, dot, { ...variables });
  let out = "";
  for (const [key, value] of items) {
    const scope = { ...variables };
    if (node.key !== undefined) scope[node.key] = key;
    if (node.value !== undefined) scope[node.value] = value;
    out += run(node.then, value, scope);
  }
  return out;
}

function itemsOf(value: unknown): [unknown, unknown][] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item, index) => [index, item]);
  if (typeof value === "object") {
    return Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  }
  throw bad(`range needs a list or a map, not ${goText(value)}`);
}

function evaluate(pipeline: Pipeline, dot: unknown, variables: Variables): unknown {
  let piped: unknown[] = [];
  for (const command of pipeline.commands) {
    piped = [runCommand(command, piped, dot, variables)];
  }
  return piped[0];
}

function runCommand(
  command: readonly Operand[],
  piped: readonly unknown[],
  dot: unknown,
  variables: Variables,
): unknown {
  const [first, ...rest] = command;
  if (first?.kind === "function") {
    const fn = TEMPLATE_FUNCTIONS[first.name];
    if (!fn) {
      const known = Object.keys(TEMPLATE_FUNCTIONS).sort().join(", ");
      throw bad(`unknown function "${first.name}"; known are ${known}`);
    }
    return fn([...rest.map((operand) => operandValue(operand, dot, variables)), ...piped]);
  }
  const value = operandValue(first!, dot, variables);
  const given = [...rest.map((operand) => operandValue(operand, dot, variables)), ...piped];
  if (typeof value === "function") return value(...given);
  if (given.length > 0) throw bad("only functions take arguments");
  return value;
}

function operandValue(operand: Operand, dot: unknown, variables: Variables): unknown {
  switch (operand.kind) {
    case "literal":
      return operand.value;
    case "path":
      return walk(dot, operand.fields);
    case "variable":
      if (!(operand.name in variables)) throw bad(`undefined variable $${operand.name}`);
      return walk(variables[operand.name], operand.fields);
    case "group":
      return walk(evaluate(operand.pipeline, dot, variables), operand.fields);
    case "function":
      return runCommand([operand], [], dot, variables);
  }
}

function walk(value: unknown, fields: readonly string[]): unknown {
  let at = value;
  for (const field of fields) {
    if (at instanceof TemplateRow) {
      if (!(field in at.fields)) {
        throw bad(
          `no field .${field}; there are ${
            Object.keys(at.fields).map((name) => `.${name}`).join(" ")
          }`,
        );
      }
      at = at.fields[field];
    } else if (at === null || at === undefined) return undefined;
    else if (typeof at !== "object") throw bad(`.${field} of "${goText(at)}", which has no fields`);
    else at = Object.hasOwn(at, field) ? (at as Record<string, unknown>)[field] : undefined;
  }
  return at;
}

function bad(message: string): FleetError {
  return new FleetError("invalid", `bad --format template: ${message}`);
}
