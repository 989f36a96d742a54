import { FleetError } from "../src/base/errors.ts";

/** Longer patterns are a mistake. */
const MAX_PATTERN = 256;

/** Whether names match `pattern`, in which `*` is any text and `?` one character. @throws FleetError invalid */
export function globMatcher(pattern: string): (name: string) => boolean {
  if (pattern.length > MAX_PATTERN) {
    throw new FleetError("invalid", `the pattern has more than ${MAX_PATTERN} characters`);
  }
  return (name) => matches(pattern, name);
}

export function isGlob(text: string): boolean {
  return /[*?]/.test(text);
}

/** Greedy with one point to come back to: linear in `name` for each star, whatever the pattern. */
function matches(pattern: string, name: string): boolean {
  let [p, n, star, resume] = [0, 0, -1, 0];
  while (n < name.length) {
    if (pattern[p] === "*") {
      star = p++;
      resume = n;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
