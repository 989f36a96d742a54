/** The guide: README.md and docs/, and the blocks of commands on its pages. */
import { fromRoot } from "../../scripts/run.ts";

/**
 * A block of commands. The comment above its fence says how it is tested:
 *
 * - `on: h1 h2, expect: REGEXP`: run on these hosts of a lab, one after the other (`here`: on the
 *   machine that has the lab). All that it prints matches the expression.
 * - `run by: FILE, where: WORD WORD`: FILE is a test that has each line literally, and runs it. A WORD
 *   stands for whatever that test has in its place.
 * - `tasks`: each line is a task of deno.json.
 * - `by hand: REASON`: not run.
 */
export interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly hosts: readonly string[];
  readonly expect: RegExp | undefined;
  readonly runBy: string | undefined;
  /** Words that stand for something else in `runBy`. */
  readonly where: readonly string[];
  readonly tasks: boolean;
  readonly byHand: string | undefined;
  /** What is typed: of a `console` block the lines with a prompt, without it. */
  readonly script: string;
}

/** Pages by their paths from the root, README.md first: the order in which they are run. */
export async function guidePages(): Promise<string[]> {
  const docs = (await Array.fromAsync(Deno.readDir(fromRoot("docs"))))
    .map(({ name }) => name).filter((name) => name.endsWith(".md")).sort();
  return ["README.md", ...docs.map((name) => `docs/${name}`)];
}

/** All fenced blocks of a page, also those without a language. */
export function blocksOf(page: string, text: string): Block[] {
  const fence = /(?:^<!-- (.*) -->\n)?^```(.*)\n([^]*?)^```$/gm;
  return [...text.matchAll(fence)].map((match) => {
    const [, note = "", language = "", body = ""] = match;
    const expect = /expect: (.*)$/.exec(note)?.[1];
    const [, runBy, where = ""] = /^run by: ([^ ,]+)(?:, where: (.*))?$/.exec(note) ?? [];
    return {
      page,
      line: text.slice(0, match.index).split("\n").length + (note === "" ? 0 : 1),
      language,
      hosts: /on: ([a-z0-9 ]+)/.exec(note)?.[1]?.trim().split(" ") ?? [],
      expect: expect === undefined ? undefined : new RegExp(expect),
      runBy,
      where: where.split(" ").filter((word) => word !== ""),
      tasks: note === "tasks",
      byHand: /^by hand: (.+)$/.exec(note)?.[1],
      script: language === "console" ? typed(body) : body,
    };
  });
}

function typed(body: string): string {
  return body.split("\n").filter((line) => line.startsWith("$ "))
    .map((line) => `${line.slice(2)}\n`).join("");
}

/** The lines of a block, without empty ones and what follows ` # `. */
export function linesOf(block: Block): string[] {
  return block.script.split("\n").map((line) => line.replace(/ +# .*$/, "").trim())
    .filter((line) => line !== "");
}

/** Whether a test's source has a line of the guide, as it stands but for the words in `where`. */
export function hasLine(source: string, line: string, where: readonly string[]): boolean {
  const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  let pattern = escape(line);
  for (const word of where) pattern = pattern.replaceAll(escape(word), "[^\\s`'\"]+");
  return new RegExp(`(?<=^|[\`'"\\s])${pattern}(?=$|[\`'"\\n])`, "m").test(source);
}
