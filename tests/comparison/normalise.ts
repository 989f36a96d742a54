/** What differs between two hosts without meaning anything. */
export interface Local {
  /** The host's name and address in the lab. */
  readonly name: string;
  readonly address: string;
}

const REPLACED: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----(\\n)?/g, "<pem>"],
  [/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g, "<token>"],
  [/SWMKEY-1-[A-Za-z0-9+/]{43}/g, "<key>"],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, "<time>"],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 utc\b/gi, "<time>"],
  [/\b[a-z0-9]{25}\b/g, "<id>"],
  [/\b[0-9a-f]{64}\b/g, "<hex>"],
  [/(?<=\.\d\.)[a-z0-9]{12}(?=@)/g, "<id>"],
  [/^[a-z0-9]{12}(?= {2}|$)/gm, "<id>"],
  [/(?<="ID":")[a-z0-9]{12}(?=")/g, "<id>"],
  // Cut ids: of cluster objects, and of what the engine has.
  [/\b(?=[a-z]*\d)(?=[0-9]*[a-z])[a-z0-9]{12}\b/g, "<id>"],
  [
    /\b(\d+ (seconds?|minutes?|hours?)|Less than a second|About an? (minute|hour)) ago\b/gi,
    "<ago>",
  ],
  [/"Index": \d+/g, '"Index": <n>'],
  [/\bhas \d+ of /g, "has <n> of "],
];
const ZERO_TIME = "0001-01-01T00:00:00Z";

/** Text with what is different on every run replaced by its kind. */
export function normalise(text: string, { name, address }: Local): string {
  let result = text.replaceAll(address, "<address>")
    .replace(new RegExp(`(?<![\\w-])${name}(?![\\w-])`, "g"), "<host>")
    .replaceAll(ZERO_TIME, "<no time>");
  for (const [pattern, kind] of REPLACED) result = result.replace(pattern, kind);
  return result;
}

/** Lines of a program's output: columns by one blank, without empty lines. */
export function outputLines(text: string, local: Local): string[] {
  return normalise(text, local).split("\n")
    .map((line) => line.replace(/(?<=\S)[ \t]+/g, " ").trimEnd())
    .filter((line) => line !== "");
}

/** Fields whose value is a count that every run has its own of. */
const COUNTERS =
  /(^|\.)(Version\.Index|PID|SpecVersion\.Index|LastExecution|timeNano|time|Description\.Resources\.\w+)$/;
const ALLOCATED = /(^|\.)(VirtualIPs\[\d+\]\.Addr|NetworksAttachments\[\d+\]\.Addresses\[\d+\])$/;
const DER = /(^|\.)CertIssuer(Subject|PublicKey)$/;

/** A JSON answer as lines `path = value`, sorted by path, lists by what their members are called. */
export function jsonLines(value: unknown, local: Local): string[] {
  const lines: string[] = [];
  flatten(value, "", lines, local);
  return lines;
}

function flatten(value: unknown, path: string, lines: string[], local: Local): void {
  if (Array.isArray(value)) {
    if (value.length === 0) lines.push(`${path || "."} = []`);
    const members = path === "" ? value.toSorted(byName) : value;
    for (const [i, member] of members.entries()) flatten(member, `${path}[${i}]`, lines, local);
    return;
  }
  if (typeof value === "object" && value !== null) {
    const keys = Object.keys(value).sort();
    if (keys.length === 0) lines.push(`${path || "."} = {}`);
    for (const key of keys) {
      const member = (value as Record<string, unknown>)[key];
      flatten(member, path === "" ? key : `${path}.${key}`, lines, local);
    }
    return;
  }
  const shown = COUNTERS.test(path) && typeof value === "number"
    ? "<n>"
    : DER.test(path)
    ? "<der>"
    : ALLOCATED.test(path)
    ? "<address>"
    : normalise(JSON.stringify(value), local);
  lines.push(`${path || "."} = ${shown}`);
}

/** Docker lists in the order of random ids: names give one that means something. */
function byName(a: unknown, b: unknown): number {
  const [x, y] = [nameOf(a), nameOf(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

function nameOf(value: unknown): string {
  const object = (value ?? {}) as {
    Name?: string;
    Spec?: { Name?: string };
    Slot?: number;
    DesiredState?: string;
    Description?: { Hostname?: string };
  };
  const slot = String(object.Slot ?? 0).padStart(6, "0");
  return object.Name ?? object.Spec?.Name ?? object.Description?.Hostname ??
    `${slot} ${object.DesiredState}`;
}
