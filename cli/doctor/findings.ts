/** One thing that was looked at. */
export interface Finding {
  readonly level: "ok" | "warning" | "error";
  /** A node, a service, or `cluster`. */
  readonly subject: string;
  readonly text: string;
  /** What to do about it; absent where all is well. */
  readonly fix?: string;
}

export const ok = (subject: string, text: string): Finding => ({ level: "ok", subject, text });
export const warning = (subject: string, text: string, fix: string): Finding => ({
  level: "warning",
  subject,
  text,
  fix,
});
export const trouble = (subject: string, text: string, fix: string): Finding => ({
  level: "error",
  subject,
  text,
  fix,
});

/** Troubles first, each with its fix below it; the summary last. `quiet` leaves out what is fine. */
export function findingsText(findings: readonly Finding[], quiet = false): string {
  const lines: string[] = [];
  const levels = ["error", "warning", "ok"] as const;
  for (const level of quiet ? levels.slice(0, 2) : levels) {
    for (const { subject, text, fix } of findings.filter((finding) => finding.level === level)) {
      lines.push(`${level.padEnd(8)} ${subject}: ${text}`);
      if (fix) lines.push(`${" ".repeat(8)} -> ${fix}`);
    }
  }
  const count = (level: Finding["level"], one: string, many: string) => {
    const n = findings.filter((finding) => finding.level === level).length;
    return `${n} ${n === 1 ? one : many}`;
  };
  if (lines.length > 0) lines.push("");
  lines.push(
    `${count("ok", "check is", "checks are")} fine, ${count("warning", "warning", "warnings")}, ${
      count("error", "error", "errors")
    }.`,
  );
  return lines.join("\n") + "\n";
}
