/**
 * Plays every scenario of `orchestrator/`. `REWRITE=1` writes the real output into the files instead of
 * comparing; read the difference before committing it.
 */
import assert from "node:assert/strict";
import { play } from "../support/orchestration_scenario.ts";

const folder = new URL("./orchestrator/", import.meta.url);
const rewrite = Deno.env.get("REWRITE") === "1";

for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  if (!name.endsWith(".txt")) continue;
  Deno.test(`orchestration scenario ${name.slice(0, -4)}`, () => {
    const file = new URL(name, folder);
    const expected = Deno.readTextFileSync(file);
    const actual = play(expected);
    if (rewrite) Deno.writeTextFileSync(file, actual);
    else assert.equal(actual, expected);
  });
}

Deno.test("a scenario with wrong output does not pass", () => {
  const text = "> nodes 1\n> service web\n> run\n> tasks web\nnone\n";
  assert.notEqual(play(text), text);
});
