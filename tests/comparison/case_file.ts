import type { DiffLine } from "./line_diff.ts";

/**
 * A text file of behaviours:
 *
 *     == a title
 *     @ docker service create …      prepared, not compared
 *     $ docker service ls            compared: what follows is what Docker Swarm and fleet print
 *       a line of both
 *     - a line of Docker only
 *     + a line of fleet only
 *     ? why it is so
 *     GET /v1.41/services            compared: status and fields of the answer
 */
export interface CaseFile {
  /** Comment lines at the beginning. */
  readonly head: readonly string[];
  readonly cases: readonly Case[];
}

export interface Case {
  readonly title: string;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly line: number;
  readonly kind: "prepare" | "shell" | "http" | "wait";
  readonly text: string;
  readonly expected: readonly ExpectedLine[];
}

/** A line of the expected comparison; differences carry the reason that follows their group. */
export type ExpectedLine = DiffLine & { readonly reason?: string };

const METHODS = /^(GET|HEAD|POST|PUT|DELETE) \//;

/** @throws Error naming the line that is none of the format */
export function parseCases(text: string): CaseFile {
  const head: string[] = [];
  const cases: { title: string; steps: (Step & { expected: ExpectedLine[] })[] }[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    const current = cases.at(-1);
    const step = current?.steps.at(-1);
    const kind = kindOf(line);
    if (line.startsWith("== ")) cases.push({ title: line.slice(3), steps: [] });
    else if (!current && (line === "" || line.startsWith("#"))) head.push(line);
    else if (current && kind) {
      current.steps.push({
        line: i + 1,
        kind,
        text: line.slice(PREFIX[kind].length),
        expected: [],
      });
    } else if (line === "") continue;
    else if (step && line.startsWith("  ")) {
      step.expected.push({ side: "both", text: line.slice(2) });
    } else if (step && /^[-+] /.test(line)) {
      step.expected.push({ side: line[0] === "-" ? "docker" : "fleet", text: line.slice(2) });
    } else if (step && line.startsWith("? ")) explain(step.expected, line.slice(2));
    else throw new Error(`line ${i + 1}: "${line}" is nothing of the format`);
  }
  while (head.at(-1) === "") head.pop();
  return { head, cases };
}

function kindOf(line: string): Step["kind"] | undefined {
  if (METHODS.test(line)) return "http";
  return (["prepare", "shell", "wait"] as const).find((kind) => line.startsWith(PREFIX[kind]));
}

/** Gives the differences just before a reason that reason. */
function explain(expected: ExpectedLine[], reason: string): void {
  for (let i = expected.length - 1; i >= 0; i--) {
    const line = expected[i]!;
    if (line.side === "both" || line.reason !== undefined) return;
    expected[i] = { ...line, reason };
  }
}

/** The file as text again. */
export function renderCases({ head, cases }: CaseFile): string {
  const lines = [...head];
  for (const { title, steps } of cases) {
    lines.push("", `== ${title}`);
    for (const step of steps) {
      lines.push(PREFIX[step.kind] + step.text);
      for (const [i, line] of step.expected.entries()) {
        lines.push(`${SIGN[line.side]} ${line.text}`);
        const next = step.expected[i + 1];
        if (line.side === "both") continue;
        if (!next || next.side === "both" || next.reason !== line.reason) {
          lines.push(`? ${line.reason ?? UNEXPLAINED}`);
        }
      }
    }
  }
  return `${lines.join("\n").trim()}\n`;
}

/** Stands where nobody has written a reason yet; a test that finds it fails. */
export const UNEXPLAINED = "NOT EXPLAINED";
const PREFIX = { prepare: "@ ", shell: "$ ", http: "", wait: "WAIT " } as const;
const SIGN = { both: " ", docker: "-", fleet: "+" } as const;

/**
 * What was seen as expectation: reasons are kept for the same lines of the same step, and asked for where a
 * difference is new.
 */
export function expectationOf(
  seen: readonly DiffLine[],
  before: readonly ExpectedLine[],
): ExpectedLine[] {
  const reasons = new Map(
    before.filter(({ reason }) => reason !== undefined).map((line) => [keyOf(line), line.reason!]),
  );
  return seen.map((line) => {
    if (line.side === "both") return line;
    return { ...line, reason: reasons.get(keyOf(line)) ?? UNEXPLAINED };
  });
}

function keyOf({ side, text }: DiffLine): string {
  return `${SIGN[side]} ${text}`;
}
