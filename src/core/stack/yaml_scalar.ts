/** Meanings of unquoted scalars as Docker's YAML parser has them: a mixture of YAML 1.1 and 1.2. */

const NULLS = new Set(["", "~", "null", "Null", "NULL"]);
const TRUES = new Set(["true", "True", "TRUE"]);
const FALSES = new Set(["false", "False", "FALSE"]);
const BASES: readonly [RegExp, number][] = [
  [/^0b([01]+)$/, 2],
  [/^0x([0-9a-fA-F]+)$/, 16],
  [/^0o?([0-7]+)$/, 8],
];
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
/** Digits of the largest unsigned 64-bit number; what is longer is a float. */
const MAX_DIGITS = 20;

/** The value of an unquoted scalar. `0440` is octal, `yes` and `on` are texts, `1_000` is a number. */
export function scalarValue(text: string): null | boolean | number | bigint | string {
  if (NULLS.has(text)) return null;
  if (TRUES.has(text)) return true;
  if (FALSES.has(text)) return false;
  if (!/^[-+.0-9]/.test(text)) return text;
  if (/^[-+]?\.(inf|Inf|INF)$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^\.(nan|NaN|NAN)$/.test(text)) return NaN;
  const digits = text.replaceAll("_", "");
  return wholeNumber(digits) ?? (FLOAT.test(digits) ? Number(digits) : text);
}

function wholeNumber(text: string): number | bigint | undefined {
  const [, sign = "", body = ""] = /^([-+]?)(.*)$/.exec(text) ?? [];
  const negative = sign === "-";
  for (const [pattern, base] of BASES) {
    const found = pattern.exec(body)?.[1];
    if (found !== undefined) return narrow(Number.parseInt(found, base) * (negative ? -1 : 1));
  }
  // A decimal begins with no zero but its own; `08` is a float.
  if (!/^(0|[1-9][0-9]*)$/.test(body) || body.length > MAX_DIGITS) return undefined;
  return narrow(BigInt(body) * (negative ? -1n : 1n));
}

function narrow(value: number | bigint): number | bigint {
  if (typeof value === "number") return value === 0 ? 0 : value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A number as Docker's client writes it out into a text: `1e-05`, `100000`, `1.5`. */
export function numberText(value: number | bigint): string {
  if (typeof value === "bigint" || Number.isInteger(value) && Math.abs(value) < 1e21) {
    return String(value);
  }
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e21) return String(value);
  return value.toExponential().replace(/e([-+])(\d)$/, "e$10$2");
}
