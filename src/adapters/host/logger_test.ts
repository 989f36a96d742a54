import assert from "node:assert/strict";
import { oneLine } from "./logger.ts";

Deno.test("what strangers put into a line stays in it", () => {
  const evil = "x\r\n2026-01-01T00:00:00Z info  all is well\x1b[2K\x9b1A\u2028\u202etxt";
  assert.equal(
    oneLine(evil),
    "x\\x0d\\n2026-01-01T00:00:00Z info  all is well\\x1b[2K\\x9b1A\\u2028\\u202etxt",
  );
  assert.equal(oneLine("naïve – größer"), "naïve – größer");
});
