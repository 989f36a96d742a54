import assert from "node:assert/strict";
import { codeOnly, fromRoot, sourceFiles } from "./source_files.ts";

const EFFECTS: readonly [RegExp, string][] = [
  [/\bDeno\./, "Deno"],
  [/\bsetTimeout\b|\bsetInterval\b|\bsetImmediate\b|\bqueueMicrotask\b/, "a timer"],
  [/\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\b/, "the clock"],
  [/\bMath\.random\b|\bcrypto\b/, "randomness"],
  [/\bconsole\b/, "the console"],
  [/\bfetch\(/, "the network"],
];
const SYNCHRONOUS = [
  "raft",
  "store",
  "scheduler",
  "allocator",
  "orchestrator",
  "dispatcher",
  "network",
];
/** Pauses between chunks so that a large snapshot does not stop the heartbeats. */
const MAY_BE_ASYNC = new Set(["src/core/store/codec.ts"]);
/** A file beyond this length has outgrown its subject. */
const MAX_LINES = 600;

async function matching(
  files: readonly string[],
  patterns: readonly [RegExp, string][],
): Promise<string[]> {
  const found: string[] = [];
  for (const file of files) {
    const lines = codeOnly(await Deno.readTextFile(fromRoot(file))).split("\n");
    lines.forEach((line, i) => {
      for (const [pattern, what] of patterns) {
        if (pattern.test(line)) found.push(`${file}:${i + 1}: uses ${what}`);
      }
    });
  }
  return found;
}

const production = (files: readonly string[]) => files.filter((file) => !file.endsWith("_test.ts"));

Deno.test("the core has no effects", async () => {
  const files = production(await sourceFiles(["src/core", "src/model"]));
  assert.ok(files.length > 20);
  assert.deepEqual(await matching(files, EFFECTS), []);
});

Deno.test("the deciding cores are synchronous", async () => {
  const files = production(await sourceFiles(SYNCHRONOUS.map((name) => `src/core/${name}`)))
    .filter((file) => !MAY_BE_ASYNC.has(file));
  assert.deepEqual(await matching(files, [[/\basync\b|\bawait\b|\bPromise\b/, "a promise"]]), []);
});

Deno.test("roles take time and randomness as arguments", async () => {
  const files = production(await sourceFiles(["src/roles"]));
  const clock = EFFECTS.filter(([, what]) =>
    ["Deno", "the clock", "randomness", "the console"].includes(what)
  );
  assert.deepEqual(await matching(files, clock), []);
});

Deno.test("no drawer files and no overgrown ones", async () => {
  const wrong: string[] = [];
  for (const file of await sourceFiles(["src", "cli", "scripts", "tests"])) {
    const name = file.split("/").at(-1)!;
    if (/^(utils?|helpers?|common|misc)\.ts$/.test(name)) {
      wrong.push(`${file}: name it by its subject`);
    }
    if (!/^[a-z0-9_.]+\.ts$/.test(name)) wrong.push(`${file}: file names are snake_case`);
    const lines = (await Deno.readTextFile(fromRoot(file))).split("\n").length;
    if (lines > MAX_LINES) wrong.push(`${file}: ${lines} lines; split it by subject`);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("a test that is skipped says why, and none is focused", async () => {
  const files = (await sourceFiles(["src", "cli", "tests"])).filter((f) => f.endsWith("_test.ts"));
  assert.deepEqual(
    await matching(files.filter((f) => !f.startsWith("tests/architecture")), [
      [/\bDeno\.test\.only\b|\bonly:\s*true/, "a focused test"],
      [/\bDeno\.test\.ignore\b|\bignore:\s*true/, "an unexplained skip"],
    ]),
    [],
  );
});
