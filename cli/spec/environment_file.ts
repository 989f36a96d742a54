import { FleetError } from "../../src/base/errors.ts";

/**
 * The lines of a `--env-file`: `NAME=value` as it stands, `NAME` alone with the value that the
 * variable has here (nothing where it is unset), comments and empty lines skipped. @throws FleetError invalid
 */
export function parseEnvironmentFile(
  path: string,
  text: string,
  variable: (name: string) => string | undefined,
): string[] {
  const out: string[] = [];
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split("\n").entries()) {
    const line = raw.trimStart().replace(/\r$/, "");
    if (line === "" || line.startsWith("#")) continue;
    const name = line.split("=", 1)[0] ?? "";
    if (name === "" || /\s/.test(name)) {
      throw new FleetError("invalid", `${path}:${index + 1}: "${name}" is no variable name`);
    }
    const entry = withValue(line, variable);
    if (entry.includes("=")) out.push(entry);
  }
  return out;
}

/** `NAME` becomes `NAME=value` of the variable here; where it is unset, the bare name unsets it. */
export function withValue(text: string, variable: (name: string) => string | undefined): string {
  if (text.includes("=")) return text;
  const value = variable(text);
  return value === undefined ? text : `${text}=${value}`;
}
