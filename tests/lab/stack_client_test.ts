/**
 * What the stock client sends for our compose files, against the recordings that the unit tests compare
 * fleet with. REWRITE=1 writes them anew.
 */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { fromRoot } from "../../scripts/run.ts";
import { capture } from "../../src/adapters/lab_hosts/process.ts";
import { meaning, recordDeploy } from "../support/stack_recorder.ts";

const FOLDER = fromRoot("cli/testdata/stack");
const CASES = { full: ["full.yaml"], merged: ["base.yaml", "over.yaml"] };
const ENVIRONMENT = { HOSTVAR: "hv", HOME: "/root" };

for (const [name, files] of Object.entries(CASES)) {
  Deno.test(`the stock client's deployment is as recorded: ${name}`, async () => {
    const flags = files.flatMap((file) => ["-c", `${FOLDER}/${file}`]);
    const written = await recordDeploy(async (host) => {
      const { code, stderr } = await capture([
        ...["docker", "-H", host, "stack", "deploy", "--resolve-image", "never"],
        ...["--detach=true", ...flags, "shop"],
      ], { env: ENVIRONMENT, timeoutMs: 180_000 });
      assert.equal(code, 0, stderr);
    });
    const text = JSON.stringify(
      written.map(({ path, body }) => ({ path, body: meaning(body) })),
      null,
      1,
    ).replaceAll(FOLDER, "/work");
    const path = `${FOLDER}/${name}.docker.json`;
    if (Deno.env.get("REWRITE") === "1") return Deno.writeTextFileSync(path, `${text}\n`);
    assert.equal(`${text}\n`, Deno.readTextFileSync(path));
  });
}

Deno.test("the stock client reads what stack config prints", async () => {
  const { code, stdout, stderr } = await capture(
    [fromRoot("dist/fleet"), "stack", "config", "-c", `${FOLDER}/full.yaml`],
    { env: ENVIRONMENT, timeoutMs: 180_000 },
  );
  assert.equal(code, 0, stderr);
  const ours = parse(stdout) as { services: Record<string, Record<string, unknown>> };
  // Not known to its schema.
  delete ours.services["web"]!["oom_score_adj"];
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, JSON.stringify(ours));
    const read = await capture(["docker", "stack", "config", "-c", file], {
      env: ENVIRONMENT,
      timeoutMs: 180_000,
    });
    assert.equal(read.code, 0, read.stderr);
    const theirs = parse(read.stdout) as typeof ours;
    assert.deepEqual(Object.keys(theirs.services), Object.keys(ours.services));
    assert.deepEqual(theirs.services["web"]!["deploy"], ours.services["web"]!["deploy"]);
  } finally {
    await Deno.remove(file);
  }
});
