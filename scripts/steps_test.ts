import assert from "node:assert/strict";
import { countTests, failedFilesIn, failuresIn, runSteps } from "./steps.ts";

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

Deno.test("lanes run every file of a folder once, each lane in its own environment", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["a_test.ts", "b_test.ts", "c_test.ts", "support.ts"]) {
      const fail = name === "b_test.ts" ? `throw new Error("boom")` : "";
      await Deno.writeTextFile(
        `${folder}/${name}`,
        `Deno.test("${name}", () => {
           Deno.writeTextFileSync("${folder}/" + Deno.env.get("LANE"), "${name}\\n", { append: true });
           ${fail}
         });\n`,
      );
    }
    const totals = await runSteps([{
      name: "lanes",
      args: ["test", "-A", "--quiet", "--no-check", folder],
      deadlineSeconds: 60,
      tests: true,
      lanes: [{ LANE: "1" }, { LANE: "2" }],
    }]);
    assert.deepEqual([totals.passed, totals.failed], [2, 1]);
    assert.match(totals.failures!.join(), /b_test\.ts\n.*boom/);
    const ran = ["1", "2"].flatMap((lane) =>
      Deno.readTextFileSync(`${folder}/${lane}`).trim().split("\n")
    );
    assert.deepEqual(ran.sort(), ["a_test.ts", "b_test.ts", "c_test.ts"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that cannot be loaded is not made good by another one's second chance", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a_test.ts`, 'import "./missing.ts";\n');
    await Deno.writeTextFile(
      `${folder}/b_test.ts`,
      `Deno.test("b", () => {
         try {
           Deno.writeTextFileSync("${folder}/ran", "", { createNew: true });
         } catch {
           return;
         }
         throw new Error("the first time");
       });\n`,
    );
    const totals = await runSteps([{
      name: "lanes",
      args: ["test", "-A", "--quiet", "--no-check", folder],
      deadlineSeconds: 60,
      tests: true,
      secondChance: true,
      lanes: [{}],
    }]);
    assert(totals.failed > 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the file of a test gets the second chance, also when the step that failed is elsewhere", async () => {
  const folder = await Deno.makeTempDir();
  const run = (file: string) =>
    runSteps([{
      name: "steps",
      args: ["test", "-A", "--quiet", "--no-check", `${folder}/${file}`],
      deadlineSeconds: 60,
      tests: true,
      secondChance: true,
    }]);
  try {
    await Deno.writeTextFile(
      `${folder}/step.ts`,
      `export const step = (t: Deno.TestContext, fail: () => boolean) =>
         t.step("s", () => {
           if (fail()) throw new Error("boom");
         });\n`,
    );
    const file = (name: string, fail: string) =>
      Deno.writeTextFile(
        `${folder}/${name}`,
        `import { step } from "./step.ts";
         Deno.test("t", (t) => step(t, () => ${fail}).then(() => {}));\n`,
      );
    await file("always_test.ts", "true");
    assert((await run("always_test.ts")).failed > 0);
    const once =
      `{ try { Deno.mkdirSync("${folder}/ran"); return true; } catch { return false; } }`;
    await file("once_test.ts", once);
    const totals = await run("once_test.ts");
    assert.deepEqual([totals.passed, totals.failed, totals.unsteady?.length], [1, 0, 1]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
