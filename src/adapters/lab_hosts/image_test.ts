import assert from "node:assert/strict";
import { imageArchive } from "./image.ts";

Deno.test("the same image is the same bytes, so that hosts agree on its id", () => {
  const options = {
    reference: "tiny:latest",
    command: ["sh"],
    files: [{ path: "etc", mode: 0o755, folder: true as const }],
  };
  assert.deepEqual(imageArchive(options), imageArchive(options));
  assert.notDeepEqual(imageArchive(options), imageArchive({ ...options, command: ["sleep"] }));
});
