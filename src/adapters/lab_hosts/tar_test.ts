import assert from "node:assert/strict";
import { tar } from "./tar.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("an archive has a header and whole blocks per entry, and two empty blocks at its end", () => {
  const body = new TextEncoder().encode("hello");
  const bytes = tar([
    { path: "bin", mode: 0o755, folder: true },
    { path: "bin/greeting", mode: 0o644, body },
    { path: "bin/same", target: "greeting" },
  ]);
  assert.equal(bytes.length, (3 + 1 + 2) * 512);
  const header = (block: number) => bytes.subarray(block * 512, (block + 1) * 512);
  const names = [0, 1, 3].map((block) => text(header(block).subarray(0, 100)).replace(/\0+$/, ""));
  assert.deepEqual(names, ["bin/", "bin/greeting", "bin/same"]);
  assert.equal(text(header(1).subarray(124, 135)), "00000000005");
  assert.equal(text(bytes.subarray(2 * 512, 2 * 512 + 5)), "hello");
  assert.deepEqual(bytes.subarray(-1024), new Uint8Array(1024));
});

Deno.test("a header's checksum is the sum of its bytes with the checksum as spaces", () => {
  const header = tar([{ path: "a", mode: 0o644, body: new Uint8Array() }]).slice(0, 512);
  const written = parseInt(text(header.subarray(148, 154)), 8);
  header.fill(32, 148, 156);
  assert.equal(written, header.reduce((sum, byte) => sum + byte, 0));
});
