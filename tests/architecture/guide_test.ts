/** Every block of commands of the guide is run by some test, or says why not. */
import assert from "node:assert/strict";
import { fromRoot } from "../../scripts/run.ts";
import { type Block, blocksOf, guidePages, hasLine, linesOf } from "../support/guide_blocks.ts";

/** Blocks that no test runs: more must be a decision. */
const MAX_BY_HAND = 3;

async function allBlocks(): Promise<Block[]> {
  const pages = await guidePages();
  assert(pages.length >= 9);
  const blocks: Block[] = [];
  for (const page of pages) {
    blocks.push(...blocksOf(page, await Deno.readTextFile(fromRoot(page))));
  }
  return blocks;
}

/** What is wrong with a block; undefined when nothing is. */
async function complaint(block: Block): Promise<string | undefined> {
  if (!/^(sh|console)$/.test(block.language)) return "has no language (sh or console)";
  const lines = linesOf(block);
  if (lines.length === 0) return "has no command";
  // Such a line can hardly fail.
  const hopeless = lines.find((line) => /\|\|\s*(true|:)\s*$/.test(line));
  if (hopeless) return `cannot fail: ${hopeless}`;
  if (block.byHand) return undefined;
  if (block.tasks) {
    const { tasks } = JSON.parse(await Deno.readTextFile(fromRoot("deno.json")));
    const wrong = lines.find((line) => {
      const [, version, name = ""] = /^npx -y deno@(\S+) task (\S+)$/.exec(line) ?? [];
      return version !== Deno.version.deno || !(name in tasks);
    });
    return wrong && `is no task for this Deno: ${wrong}`;
  }
  if (block.runBy) {
    const source = await Deno.readTextFile(fromRoot(block.runBy));
    const missing = lines.find((line) => !hasLine(source, line, block.where));
    return missing && `${block.runBy} does not have: ${missing}`;
  }
  return block.hosts.length === 0 ? "does not say where it is run" : undefined;
}

Deno.test("every block of the guide is run by a test, line by line", async () => {
  const blocks = await allBlocks();
  const wrong: string[] = [];
  for (const block of blocks) {
    const said = await complaint(block);
    if (said) wrong.push(`${block.page}:${block.line} ${said}`);
  }
  assert.deepEqual(wrong, []);
  assert(blocks.filter(({ byHand }) => byHand).length <= MAX_BY_HAND);
});

Deno.test("blocks that nobody runs are found", async () => {
  const page = (note: string, fence: string, line: string) =>
    `text\n\n${note}${fence}\n${line}\n\`\`\`\n`;
  const self = "tests/architecture/guide_test.ts";
  const cases: [string, RegExp | undefined][] = [
    ["```\nfleet version\n```", /has no language/],
    [page("", "```sh", "fleet version"), /does not say where/],
    [page("<!-- on: h1 -->\n", "```sh", "fleet version || true"), /cannot fail/],
    [page("<!-- on: h1 -->\n", "```console", "output only"), /has no command/],
    [page("<!-- tasks -->\n", "```sh", "npx -y deno@1.0.0 task ok"), /is no task/],
    [page(`<!-- run by: ${self} -->\n`, "```sh", "fleet non" + "sense"), /does not have/],
    [page(`<!-- run by: ${self} -->\n`, "```sh", "fleet version"), undefined],
    [page(`<!-- run by: ${self}, where: XY -->\n`, "```sh", "fleet XY"), undefined],
  ];
  for (const [text, expected] of cases) {
    const [block] = blocksOf("page.md", text);
    const said = await complaint(block!);
    if (expected) assert.match(said ?? "", expected, text);
    else assert.equal(said, undefined, text);
  }
});
