import { FleetError } from "../base/errors.ts";
import { isIP } from "../base/addresses.ts";
import { inCidr } from "../base/cidr.ts";
import type { Node } from "./node.ts";

/** One placement constraint: `key==value` or `key!=value`. */
export interface Constraint {
  readonly key: string;
  readonly equal: boolean;
  readonly value: string;
}

const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;

/** Parses SwarmKit's constraint language. @throws FleetError internal (Docker answers 500 here), naming the expression */
export function parseConstraints(expressions: readonly string[]): Constraint[] {
  return expressions.map((expression) => {
    const match = /^\s*(.*?)\s*(==|!=)\s*(.*?)\s*$/.exec(expression);
    if (!match) {
      throw new FleetError(
        "internal",
        `constraint expected one operator from ==, !=: "${expression}"`,
      );
    }
    const [, key = "", operator, value = ""] = match;
    if (!KEY.test(key)) {
      throw new FleetError("internal", `key '${key}' is invalid in constraint "${expression}"`);
    }
    if (!VALUE.test(value)) {
      throw new FleetError("internal", `value '${value}' is invalid in constraint "${expression}"`);
    }
    return { key, equal: operator === "==", value };
  });
}

/** Whether a node fits; values compare without case, as plain text. */
export function matches(constraint: Constraint, node: Node): boolean {
  const found = valueOf(constraint, node);
  return found === undefined ? false : found === constraint.equal;
}

/** Whether the values are equal; undefined for a key that never matches. */
function valueOf({ key, value }: Constraint, node: Node): boolean | undefined {
  const same = (actual: string | undefined) => (actual ?? "").toLowerCase() === value.toLowerCase();
  const folded = key.toLowerCase();
  switch (folded) {
    case "node.id":
      return same(node.ID);
    case "node.hostname":
      return same(node.Description?.Hostname);
    case "node.role":
      return same(node.Role);
    case "node.platform.os":
      return same(node.Description?.Platform?.OS);
    case "node.platform.arch":
      return same(node.Description?.Platform?.Architecture);
    case "node.ip":
      return value.includes("/")
        ? inCidr(node.Status.Addr ?? "", value)
        : isIP(value) && same(node.Status.Addr);
  }
  if (folded.startsWith("node.labels.")) {
    return label(node.Spec.Labels, key.slice("node.labels.".length), value);
  }
  if (folded.startsWith("engine.labels.")) {
    return label(node.Description?.Engine?.Labels, key.slice("engine.labels.".length), value);
  }
  return undefined;
}

/** A label that is missing equals nothing. */
function label(
  labels: Readonly<Record<string, string>> | undefined,
  key: string,
  value: string,
): boolean {
  const found = labels?.[key];
  return found !== undefined && found.toLowerCase() === value.toLowerCase();
}

/**
 * What `count` nodes lack, as the predicate of a sentence: `lacks label disk=ssd`, `have node.role
 * manager`.
 */
export function explainMismatch({ key, equal, value }: Constraint, count: number): string {
  const name = key.replace(/^node\.labels\./i, "label ").replace(
    /^engine\.labels\./i,
    "engine label ",
  );
  const verb = equal ? (count === 1 ? "lacks" : "lack") : (count === 1 ? "has" : "have");
  return `${verb} ${name}=${value}`;
}
