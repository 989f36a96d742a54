import { assert } from "../../src/base/assert.ts";

/**
 * Compares `text` with the file `testdata/NAME` of the CLI. With UPDATE_GOLDEN=1 the file is written
 * instead: look at the difference before committing it.
 */
export function assertGolden(name: string, text: string): void {
  const path = new URL(`../testdata/${name}`, import.meta.url);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") return Deno.writeTextFileSync(path, text);
  const lines = Deno.readTextFileSync(path).split("\n");
  for (const [index, line] of text.split("\n").entries()) {
    const expected = lines[index];
    assert(line === expected, `testdata/${name}:${index + 1}: expected ${expected}, got ${line}`);
  }
  assert(text.split("\n").length === lines.length, `testdata/${name} is longer`);
}
