import assert from "node:assert/strict";
import { requireRoot } from "./requirements.ts";

Deno.test("a lab is for root, and others are told so", () => {
  requireRoot(0);
  assert.throws(() => requireRoot(1000), {
    kind: "forbidden",
    message: /belongs to root.*sudo -s/,
  });
});
