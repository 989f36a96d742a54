import assert from "node:assert/strict";
import { normalizePem } from "./pem_text.ts";

const block = (body: string, label = "CERTIFICATE") =>
  `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;

Deno.test("two texts of the same certificate become one", () => {
  const body = "A".repeat(64) + "\n" + "B".repeat(20) + "==";
  const plain = block(body);
  assert.equal(normalizePem(plain), plain);
  const others = [
    plain.trimEnd(),
    "subject=CN = ca\n" + plain + "bye",
    plain.replaceAll("\n", "\r\n"),
    block(body.replace("\n", "")),
  ];
  for (const other of others) assert.equal(normalizePem(other), plain, other);
});

Deno.test("several blocks keep their order, what is no block goes", () => {
  const two = block("AAAA") + block("BBBB");
  assert.equal(
    normalizePem("x" + two.replace("-----\n-----BEGIN", "-----\n\nnoise\n-----BEGIN")),
    two,
  );
  assert.equal(normalizePem("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"), "");
  assert.equal(normalizePem(""), "");
});
