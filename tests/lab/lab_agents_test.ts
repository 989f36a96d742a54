import assert from "node:assert/strict";
import { Lab } from "../../src/adapters/lab_hosts/lab.ts";
import { BINARY } from "../support/fleet_lab.ts";
import { tracesOf } from "./support/traces.ts";
import { until } from "../support/until.ts";

const NAME = "labagent";

/** `fleet lab …` as a person types it. */
async function fleetLab(line: string) {
  const [, , ...args] = line.split(" ");
  const { code, stdout, stderr } = await new Deno.Command(BINARY, {
    args: ["lab", ...args, "--name", NAME],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("the lab's commands make, show, use and remove hosts with agents", async () => {
  await Lab.remove(NAME);
  try {
    const up = await fleetLab("fleet lab up --hosts 2");
    assert.equal(up.code, 0, up.stderr);
    assert.match(
      (await fleetLab("fleet lab status")).stdout,
      /^h2 +10\.77\.\d+\.2 +up \(\d+\) +up \(\d+\) /m,
    );
    assert.match(
      (await fleetLab("fleet lab env h1")).stdout,
      /^export FLEET_HOST=unix:\/\/.*fleet.sock$/m,
    );
    const again = await fleetLab("fleet lab up --hosts 2");
    assert.deepEqual([again.code, /exists already/.test(again.stderr)], [1, true]);

    // Inside a host the commands need no settings.
    const exec = (...command: string[]) =>
      new Deno.Command(BINARY, { args: ["lab", "exec", "--name", NAME, "h2", "--", ...command] })
        .output();
    const version = await exec("fleet", "--version");
    assert.match(new TextDecoder().decode(version.stdout), /^fleet version /);
    assert.equal((await exec("sh", "-c", "exit 7")).code, 7);
    assert.equal((await exec("docker", "version")).code, 0);
  } finally {
    const down = await fleetLab("fleet lab down");
    assert.equal(down.code, 0, down.stderr);
  }
  assert.deepEqual(await tracesOf(NAME), []);
  assert.match((await fleetLab("fleet lab status")).stderr, /there is no lab/);
});

Deno.test("an interrupted start of a lab removes what it made", async () => {
  await Lab.remove(NAME);
  const child = new Deno.Command(BINARY, {
    args: ["lab", "up", "--name", NAME],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until("a lab in the making", () => Lab.exists(NAME), 60_000, 1);
  child.kill("SIGINT");
  assert.notEqual((await child.status).code, 0);
  assert.deepEqual(await tracesOf(NAME), []);
});
