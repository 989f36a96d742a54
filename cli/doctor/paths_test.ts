import assert from "node:assert/strict";
import { verdict } from "./paths.ts";

Deno.test("what to let pass is the cluster's own data path port", () => {
  const lost = [{ bytes: 64, ok: false, why: "no answer" }];
  for (const sure of [true, false]) {
    const found = verdict("h1", "h2", { dataPort: 5789, sure, mtu: 1500 }, lost);
    assert.match(JSON.stringify(found), /UDP 5789 pass/);
  }
});
