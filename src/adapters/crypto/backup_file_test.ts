import assert from "node:assert/strict";
import { openBackup, sealBackup } from "./backup_file.ts";

const content = new TextEncoder().encode("state ".repeat(1000));

Deno.test("a backup opens with its passphrase only, and hides its content", async () => {
  const file = await sealBackup(content, "correct horse");
  assert(file.length < content.length);
  assert(!new TextDecoder("latin1").decode(file).includes("state "));
  assert.deepEqual(await openBackup(file, "correct horse"), content);
  await assert.rejects(openBackup(file, "correct hors"), /does not open/);
});

Deno.test("a changed byte anywhere, a cut and a foreign file are noticed", async () => {
  const file = await sealBackup(content, "correct horse");
  for (const at of [0, 10, 30, file.length - 1]) {
    const changed = file.slice();
    changed[at]! ^= 1;
    await assert.rejects(openBackup(changed, "correct horse"), /does not open|no backup/);
  }
  await assert.rejects(openBackup(file.subarray(0, file.length - 5), "correct horse"), /not open/);
  await assert.rejects(openBackup(new Uint8Array(3), "correct horse"), /no backup/);
});
