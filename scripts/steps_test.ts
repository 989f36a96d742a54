import assert from "node:assert/strict";
import { countTests, failedFilesIn, failuresIn, runSteps } from "./steps.ts";
import type { Step } from "./steps.ts";

Deno.test("summaries of Deno and of our own runners are summed", () => {
  const output = "ok | 12 passed | 0 failed (3s)\nFAILED | 3 passed (2 steps) | 1 failed\n" +
    "500 passed, 2 failed in 3 s\n";
  assert.deepEqual(countTests(output, false), { passed: 515, failed: 3 });
});

Deno.test("a step that ends badly without a word about it has failed", () => {
  assert.deepEqual(countTests("ok | 12 passed | 0 failed", false), { passed: 12, failed: 1 });
  assert.deepEqual(countTests("", false), { passed: 0, failed: 1 });
  assert.deepEqual(countTests("ok | 1 passed | 0 failed", true), { passed: 1, failed: 0 });
});

Deno.test("failures are said once more, without their stacks", () => {
  const output =
    "\n ERRORS \n\na ... s => ./x_test.ts:1:37\nerror: Error: boom\nline 2\n    at x.ts:1\n" +
    "    at y.ts:2\n\nb => ./x_test.ts:2:6\nerror: TypeError: bang\n    at x.ts:3\n\n FAILURES \n\n" +
    "a ... s => ./x_test.ts:1:37\nb => ./x_test.ts:2:6\n";
  assert.deepEqual(failuresIn(output), [
    "  a ... s\n    Error: boom\n    line 2",
    "  b\n    TypeError: bang",
  ]);
});

Deno.test("files of failed tests are known, each once", () => {
  const output =
    "\n ERRORS \n\na ... s => ./tests/x_test.ts:1:37\nerror: Error: boom\n\n FAILURES \n\n" +
    "a ... s => ./tests/x_test.ts:1:37\na ... t => ./tests/x_test.ts:9:37\n" +
    "b => ./tests/y_test.ts:2:6\n\nFAILED | 3 passed | 2 failed (3s)\n";
  assert.deepEqual(failedFilesIn(output), ["./tests/x_test.ts", "./tests/y_test.ts"]);
  assert.deepEqual(failedFilesIn("ok | 3 passed | 0 failed"), []);
});

/** Runs `use` with a folder of these files; `FOLDER` in them is its path. */
async function withFiles(
  files: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text.replaceAll("FOLDER", folder));
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const run = (tested: string, options: Partial<Step>) =>
  runSteps([{
    name: "tests",
    args: ["test", "-A", "--quiet", "--no-check", tested],
    deadlineSeconds: 60,
    tests: true,
    ...options,
  }]);
/** True the first time that it is asked. */
const FIRST = `(() => {
  try {
    Deno.mkdirSync("FOLDER/asked");
    return true;
  } catch {
    return false;
  }
})()`;
const noting = (name: string, rest = "") =>
  `Deno.test("${name}", () => {
     Deno.writeTextFileSync("FOLDER/" + Deno.env.get("LANE"), "${name}\\n", { append: true });
     ${rest}
   });\n`;

Deno.test("lanes run every file of a folder once, each lane in its own environment", async () => {
  await withFiles({
    "a_test.ts": noting("a"),
    "b_test.ts": noting("b", 'throw new Error("boom");'),
    "c_test.ts": noting("c"),
    "support.ts": noting("support"),
  }, async (folder) => {
    const totals = await run(folder, { lanes: [{ LANE: "1" }, { LANE: "2" }] });
    assert.deepEqual([totals.passed, totals.failed], [2, 1]);
    assert.match(totals.failures!.join(), /b\n.*boom/);
    const ran = ["1", "2"].flatMap((lane) =>
      Deno.readTextFileSync(`${folder}/${lane}`).trim().split("\n")
    );
    assert.deepEqual(ran.sort(), ["a", "b", "c"]);
  });
});

Deno.test("a file that cannot be loaded is not made good by another one's second chance", async () => {
  await withFiles({
    "a_test.ts": 'import "./missing.ts";\n',
    "b_test.ts": `Deno.test("b", () => { if (${FIRST}) throw new Error("boom"); });\n`,
  }, async (folder) => {
    const totals = await run(folder, { secondChance: true, lanes: [{}] });
    assert(totals.failed > 0);
  });
});

Deno.test("the file of a test gets the second chance, also when the step that failed is elsewhere", async () => {
  const test = (fail: string) =>
    `import { step } from "./step.ts";
     Deno.test("t", async (t) => void await step(t, () => ${fail}));\n`;
  await withFiles({
    "step.ts": `export const step = (t: Deno.TestContext, fail: () => boolean) =>
      t.step("s", () => {
        if (fail()) throw new Error("boom");
      });\n`,
    "always_test.ts": test("true"),
    "once_test.ts": test(FIRST),
  }, async (folder) => {
    assert((await run(`${folder}/always_test.ts`, { secondChance: true })).failed > 0);
    const totals = await run(`${folder}/once_test.ts`, { secondChance: true });
    assert.deepEqual([totals.passed, totals.failed, totals.unsteady?.length], [1, 0, 1]);
  });
});
