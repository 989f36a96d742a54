import assert from "node:assert/strict";
import { EspHost } from "./esp_host.ts";

Deno.test("a kernel that could not encrypt is tried again, one that could is not", async () => {
  const { signal } = new AbortController();
  let has = false;
  let tries = 0;
  const esp = new EspHost((argv) => {
    if (argv.includes("add")) tries++;
    const stderr = has ? "" : "RTNETLINK answers: Protocol not supported";
    return Promise.resolve({ success: has, stdout: "", stderr });
  });
  assert.match((await esp.problem(signal))!, /no ESP with AES-GCM .*Protocol not supported/);
  has = true;
  assert.equal(await esp.problem(signal), undefined);
  assert.equal(await esp.problem(signal), undefined);
  assert.equal(tries, 2);
});
