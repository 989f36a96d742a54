import { FleetError } from "../../base/errors.ts";
import type { Lookup } from "./interpolate.ts";
import { substitute } from "./interpolate.ts";

/**
 * The lines of a service's `env_file` as Docker reads them: `NAME=value` just as it stands, quotes
 * included, and a bare `NAME` that takes the value it has here. @throws FleetError invalid
 */
export function parseEnvFile(
  name: string,
  text: string,
  lookup: Lookup,
): Map<string, string | null> {
  const out = new Map<string, string | null>();
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split("\n").entries()) {
    const line = raw.replace(/\r$/, "").trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const key = at < 0 ? line : line.slice(0, at);
    if (key === "" || /\s/.test(key)) {
      throw new FleetError("invalid", `${name}:${index + 1}: "${key}" is no variable name`);
    }
    const value = at < 0 ? lookup(key) : line.slice(at + 1);
    if (value !== undefined) out.set(key, value);
  }
  return out;
}

/**
 * A `.env` file or one of `--env-file`, in the compose specification's format: quotes are taken off,
 * ` #` begins a comment, `export` may stand in front, values other than single-quoted ones may use
 * variables of `lookup` and of earlier lines, double-quoted ones escapes. @throws FleetError invalid
 */
export function parseDotEnv(name: string, text: string, lookup: Lookup): Map<string, string> {
  const out = new Map<string, string>();
  const known: Lookup = (variable) => lookup(variable) ?? out.get(variable);
  const source = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  let at = 0;
  let line = 1;
  const fail = (message: string) => new FleetError("invalid", `${name}:${line}: ${message}`);
  const expand = (value: string) => {
    try {
      return substitute(value, known);
    } catch (error) {
      throw error instanceof FleetError ? fail(error.message) : error;
    }
  };
  while (at < source.length) {
    const end = source.indexOf("\n", at) < 0 ? source.length : source.indexOf("\n", at);
    const whole = source.slice(at, end);
    const match = /^\s*(?:export\s+)?([^\s=:#'"]+)\s*(?:[=:]\s*)?/.exec(whole);
    if (/^\s*(#|$)/.test(whole)) {
      at = end + 1;
      line++;
      continue;
    }
    if (!match) throw fail(`"${whole.trim()}" is no NAME=value`);
    const key = match[1]!;
    if (!/^[\w.\-]+$/.test(key)) throw fail(`"${key}" is no variable name`);
    if (!/[=:]/.test(match[0])) {
      if (whole.slice(match[0].length).trim() !== "") {
        throw fail(`"${whole.trim()}" is no NAME=value`);
      }
      const value = lookup(key);
      if (value !== undefined) out.set(key, value);
      at = end + 1;
      line++;
      continue;
    }
    const start = at + match[0].length;
    const quote = source[start];
    if (quote === '"' || quote === "'") {
      const close = closingQuote(source, start + 1, quote);
      if (close < 0) throw fail(`the value of ${key} has an open quote`);
      const rest = source.slice(close + 1).split("\n", 1)[0] ?? "";
      if (!/^\s*(#.*)?$/.test(rest)) throw fail(`unexpected text after the value of ${key}`);
      const body = source.slice(start + 1, close);
      out.set(key, quote === "'" ? body : expand(unescape(body)));
      line += source.slice(at, close).split("\n").length;
      at = close + 1 + rest.length + 1;
      continue;
    }
    const bare = whole.slice(match[0].length).replace(/(^|\s)#.*$/, "").trimEnd();
    out.set(key, expand(bare));
    at = end + 1;
    line++;
  }
  return out;
}

function closingQuote(text: string, from: number, quote: string): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === "\\" && quote === '"') i++;
    else if (text[i] === quote) return i;
  }
  return -1;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  '"': '"',
  "\\": "\\",
};

/** Escapes of a double-quoted value; `\$` becomes the template's `$$`. */
function unescape(text: string): string {
  return text.replace(/\\(.)/gs, (whole, c: string) => c === "$" ? "$$" : ESCAPES[c] ?? whole);
}
