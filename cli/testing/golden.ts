import assert from "node:assert/strict";

/**
 * Compares `text` with the file `testdata/NAME` of the CLI. With UPDATE_GOLDEN=1 the file is written
 * instead: look at the difference before committing it.
 */
export function assertGolden(name: string, text: string): void {
  const path = new URL(`../testdata/${name}`, import.meta.url);
  if (Deno.env.get("UPDATE_GOLDEN") === "1") return Deno.writeTextFileSync(path, text);
  assert.equal(text, Deno.readTextFileSync(path), `differs from testdata/${name}`);
}
