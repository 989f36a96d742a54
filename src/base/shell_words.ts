import { FleetError } from "./errors.ts";

/** Splits a command line as a POSIX shell does, without any expansion. @throws FleetError invalid */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (quote === "'") {
      if (c === "'") quote = "";
      else word += c;
    } else if (c === "\\") {
      const next = line[++i];
      if (next === undefined) throw new FleetError("invalid", `"${line}" ends in a backslash`);
      // Inside double quotes a backslash is only special before these.
      word = (word ?? "") + (quote && !'"\\$`'.includes(next) ? c + next : next);
    } else if (quote) {
      if (c === '"') quote = "";
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word ??= "";
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + c;
  }
  if (quote) throw new FleetError("invalid", `"${line}" has an open quote`);
  if (word !== undefined) words.push(word);
  return words;
}
