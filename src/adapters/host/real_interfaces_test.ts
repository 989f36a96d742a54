import assert from "node:assert/strict";
import { realInterfaces } from "./real_clock.ts";

Deno.test("a machine's address towards another is the one that its connection there has", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  const { port } = listener.addr;
  assert.equal(await realInterfaces.towards(`127.0.0.2:${port}`), "127.0.0.1");
  listener.close();
  assert.equal(await realInterfaces.towards(`127.0.0.2:${port}`), undefined);
});
