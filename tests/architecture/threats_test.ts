import assert from "node:assert/strict";
import { fromRoot } from "./source_files.ts";

/** Files and test names of a cell: `file`: "name"; "name"; `file`: "name". */
function named(cell: string): { files: string[]; name: string }[] {
  const found: { files: string[]; name: string }[] = [];
  let files: string[] = [];
  let last = "";
  for (const [, file, name] of cell.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
    if (file !== undefined) {
      files = last === "file" ? [...files, file] : [file];
      last = "file";
    } else {
      found.push({ files, name: name! });
      last = "name";
    }
  }
  return found;
}

Deno.test("every test that THREATS.md names exists, and every threat names one", async () => {
  const page = await Deno.readTextFile(fromRoot("THREATS.md"));
  const missing: string[] = [];
  let checked = 0;
  for (const line of page.split("\n")) {
    const cells = line.split(" | ");
    if (!line.startsWith("| ") || cells.length !== 3 || cells[2]!.startsWith("test")) continue;
    const tests = named(cells[2]!);
    if (tests.length === 0) missing.push(`no test: ${cells[0]}`);
    for (const { files, name } of tests) {
      checked++;
      const texts = await Promise.all(
        files.map((file) => Deno.readTextFile(fromRoot(file)).catch(() => "")),
      );
      // A long name may be continued by a value.
      if (!texts.some((text) => text.includes(`"${name}"`) || text.includes(`\`${name} `))) {
        missing.push(`${files.join(", ")}: ${name}`);
      }
    }
  }
  assert.deepEqual(missing, []);
  assert(checked > 30, `only ${checked} tests are named`);
});
