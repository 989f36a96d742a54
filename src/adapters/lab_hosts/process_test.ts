import { ok, strictEqual } from "node:assert/strict";
import { hasInEnvironment } from "./process.ts";

const LOOKS = 2_000;
/** Of so many, on a machine that takes the processor from the process at the wrong moment. */
const MOST_MISSED = LOOKS / 20;

Deno.test("a process keeps its environment in our eyes while it begins other programs", async () => {
  // Each shell is replaced by the next one: a fifth of single looks finds nothing or a part of it.
  const script = 'exec sh -c "$0" "$0"';
  const child = new Deno.Command("sh", {
    args: ["-c", script, script],
    env: { FLEET_TEST_ROLE: "agent" },
    stdin: "null",
  }).spawn();
  try {
    let missed = 0;
    for (let i = 0; i < LOOKS; i++) {
      if (!hasInEnvironment(child.pid, "FLEET_TEST_ROLE=agent")) missed++;
    }
    ok(missed <= MOST_MISSED, `${missed} of ${LOOKS}`);
    strictEqual(hasInEnvironment(Deno.pid, "FLEET_TEST_ROLE=agent"), false);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});
