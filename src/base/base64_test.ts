import { strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { base64Fault } from "./base64.ts";

Deno.test("base64: the place of the first character that cannot be", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["", undefined],
    ["eA==", undefined],
    ["eHh4", undefined],
    ["eH\r\nh4\n", undefined],
    ["***", 0],
    ["eA-=", 2],
    ["eA=", 3],
    ["eA=x", 2],
    ["e===", 1],
    ["eA==x", 4],
    ["eHg=eHg=", 4],
    ["eHh4e", 4],
    ["eHh4eA", 4],
  ];
  for (const [text, place] of cases) strictEqual(base64Fault(text), place, JSON.stringify(text));
});

Deno.test("base64: whatever bytes are encoded, nothing is wrong with it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      strictEqual(base64Fault((bytes as Uint8Array).toBase64()), undefined);
    }),
  );
});
