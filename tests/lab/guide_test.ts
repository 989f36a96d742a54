/** Runs every block of commands of the guide, page by page, on three hosts. */
import assert from "node:assert/strict";
import { fromRoot } from "../../scripts/run.ts";
import { withFleetLab } from "../support/fleet_lab.ts";
import type { FleetLab } from "../support/fleet_lab.ts";

interface Block {
  readonly line: number;
  readonly hosts: readonly string[];
  readonly expect: RegExp | undefined;
  /** Another test, which runs these commands. */
  readonly runBy: string | undefined;
  readonly script: string;
}

/** The `sh` blocks of a page, each with the comment right above it. */
function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const fence = /(?:<!-- (.*) -->\n)?```(sh|bash|console)\n([^]*?)```/g;
  for (const match of page.matchAll(fence)) {
    const [, note = "", , script = ""] = match;
    const line = page.slice(0, match.index).split("\n").length;
    const expect = /expect: (.*)$/.exec(note)?.[1];
    blocks.push({
      line,
      script,
      hosts: /on: ([h0-9 ]+)/.exec(note)?.[1]?.trim().split(" ") ?? [],
      expect: expect === undefined ? undefined : new RegExp(expect),
      runBy: /^run by: (.*)$/.exec(note)?.[1],
    });
  }
  return blocks;
}

/** What one block sets, the next one has, on whichever host, as for a person with several windows. */
async function runBlock(lab: FleetLab, block: Block, state: string): Promise<string> {
  let said = "";
  for (const name of block.hosts) {
    const host = lab.host(name);
    const script =
      `ADDRESS=${host.address}; [ ! -f ${state} ] || . ${state}; ADDRESS=${host.address}
set -e
${block.script}
set +e
{ printf "token='%s'\\n" "$token"; printf "manager='%s'\\n" "$manager"; } >${state}`;
    const output = await host.exec(["sh", "-c", script], { timeoutMs: 300_000 });
    assert.equal(
      output.code,
      0,
      `line ${block.line} on ${name}:\n${output.stdout}${output.stderr}`,
    );
    said += output.stdout + output.stderr;
  }
  return said;
}

async function runPage(lab: FleetLab, blocks: readonly Block[], state: string): Promise<void> {
  for (const block of blocks) {
    if (block.runBy) {
      await Deno.stat(fromRoot(block.runBy));
      continue;
    }
    assert(block.hosts.length > 0, `line ${block.line} does not say where it is run`);
    const said = await runBlock(lab, block, state);
    if (block.expect) assert.match(said, block.expect, `line ${block.line}`);
  }
}

Deno.test("the guide's commands do what it says", async (t) => {
  const pages = (await Array.fromAsync(Deno.readDir(fromRoot("docs"))))
    .map(({ name }) => name).filter((name) => name.endsWith(".md")).sort();
  assert(pages.length >= 8);
  const folder = await Deno.makeTempDir({ prefix: "fleet-guide-" });
  try {
    await withFleetLab("guide", 3, async (lab) => {
      for (const page of pages) {
        const blocks = blocksOf(await Deno.readTextFile(fromRoot(`docs/${page}`)));
        if (blocks.length === 0) continue;
        await t.step(`${page}: ${blocks.length} blocks`, async () => {
          try {
            await runPage(lab, blocks, `${folder}/${page}.state`);
          } finally {
            for (const { name } of lab.lab.hosts) await lab.try(name, "leave", "--force");
          }
        });
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
