import type { FleetCommand } from "../fleet_command.ts";

/** What a manual page is made of; all of it comes from a command's definition. */
export interface Page {
  /** `fleet service create` */
  readonly path: string;
  readonly summary: string;
  readonly usage: string;
  readonly command?: FleetCommand;
  /** The help's texts after the flags. */
  readonly after: string;
  readonly children: readonly { readonly name: string; readonly summary: string }[];
  readonly version: string;
}

/** A page of section 1 in roff's man macros (man(7)). */
export function manPage(page: Page): string {
  const name = page.path.replaceAll(" ", "-");
  const lines = [
    `.TH ${name.toUpperCase().replaceAll("-", "\\-")} 1 "" "fleet ${page.version}" "fleet"`,
    ".SH NAME",
    `${roff(name)} \\- ${roff(page.summary)}`,
    ".SH SYNOPSIS",
    `.B ${roff(page.path)}`,
    roff(page.usage),
  ];
  if (page.children.length > 0) {
    lines.push(".SH COMMANDS");
    for (const { name: child, summary } of page.children) {
      lines.push(".TP", `.BR ${roff(`${name}-${child}`)} (1)`, roff(summary));
    }
  }
  const args = page.command?.registeredArguments ?? [];
  if (args.length > 0) {
    lines.push(".SH ARGUMENTS");
    for (const argument of args) {
      lines.push(".TP", `.I ${roff(argument.name())}`, roff(argument.description));
    }
  }
  const options = page.command?.options.filter(({ hidden }) => !hidden) ?? [];
  if (options.length > 0) {
    lines.push(".SH OPTIONS");
    for (const option of options) {
      lines.push(".TP", `.B ${roff(option.flags)}`, roff(option.description));
    }
  }
  const [notes = "", examples] = page.after.split(/^Examples:$/m);
  if (notes.trim() !== "") lines.push(".SH NOTES", ...verbatim(notes));
  if (examples) lines.push(".SH EXAMPLES", ...verbatim(examples));
  const [parent] = /^.*(?= )/.exec(page.path) ?? [];
  if (parent) lines.push(".SH SEE ALSO", `.BR ${roff(parent.replaceAll(" ", "-"))} (1)`);
  return lines.join("\n") + "\n";
}

function verbatim(text: string): string[] {
  const body = text.replace(/^\n+|\n+$/g, "").split("\n").map((line) => line.replace(/^ {2}/, ""));
  return [".nf", ...body.map(roff), ".fi"];
}

/** A leading dot or quote would be a request. */
function roff(text: string): string {
  const plain = text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}
