import assert from "node:assert/strict";
import { compareVersions } from "./versions.ts";

Deno.test("versions are compared by their numbers", () => {
  assert.deepEqual(compareVersions("0.1.0", "0.2.5"), { sameMajor: true, minors: 1 });
  assert.deepEqual(compareVersions("1.9.0-rc.1", "1.10.0+5"), { sameMajor: true, minors: 1 });
  assert.equal(compareVersions("1.0.0", "2.0.0").sameMajor, false);
});
